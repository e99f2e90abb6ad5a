//! The summary at the end of `cargo xtask test`.

use crate::counts::Counts;
use std::time::Duration;

/// How one stage ended.
#[derive(Debug)]
pub(crate) struct Line {
    /// The stage.
    pub(crate) name: &'static str,
    /// Its tests.
    pub(crate) counts: Counts,
    /// What went wrong, when something did.
    pub(crate) failure: Option<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The summary, a line for each stage; its last line is `N passed, N failed`.
pub(crate) fn summary(lines: &[Line]) -> String {
    let mut text = String::from("\nsummary\n");
    for line in lines {
        let mark = if line.failure.is_none() { "ok    " } else { "FAILED" };
        let Counts { passed, failed } = line.counts;
        text += &format!(
            "{mark} {:<10} {passed:>6} passed {failed:>3} failed {:>8.1} s",
            line.name,
            line.took.as_secs_f64()
        );
        text += &line.failure.as_ref().map(|failure| format!("   {failure}")).unwrap_or_default();
        text.push('\n');
    }
    let total = total(lines);
    text + &format!("{} passed, {} failed", total.passed, total.failed)
}

/// All stages' tests.
pub(crate) fn total(lines: &[Line]) -> Counts {
    lines.iter().map(|line| line.counts).fold(Counts::default(), Counts::plus)
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
