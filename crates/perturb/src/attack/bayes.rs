//! The attack without context: each token by itself.

use super::report::{Counts, Report};
use super::{AttackError, Likelihood, LikelihoodRow, Prior, Sample};

/// x̂ = argmax ln P(y | x) + ln π(x); y itself if it is among the best, else the smallest of them.
///
/// Exact over all items: the listed ones are looked at, and of the others only the one with the largest prior can win.
pub(super) fn guess(output: u32, row: &LikelihoodRow<'_>, prior: &Prior) -> u32 {
    let is_listed = |item: u32| row.likely.iter().any(|(listed, _)| *listed == item);
    let other = prior.order().iter().copied().find(|item| !is_listed(*item));
    let listed = row.likely.iter().map(|&(item, ln)| (item, ln + prior.ln(item)));
    let others = other.into_iter().chain([output].into_iter().filter(|item| !is_listed(*item)));
    let all = listed.chain(others.map(|item| (item, row.others + prior.ln(item))));
    let better = |a: &(u32, f64), b: &(u32, f64)| {
        (a.1.total_cmp(&b.1)).then((a.0 == output).cmp(&(b.0 == output))).then(b.0.cmp(&a.0))
    };
    all.max_by(better).map_or(output, |(item, _)| item)
}

/// Counts what the attacks without context recover: for a page that has no language model, and in milliseconds.
///
/// # Errors
/// An [`AttackError`] if the parts do not belong together.
pub fn without_context(
    sample: &Sample,
    likelihood: &impl Likelihood,
    prior: &Prior,
) -> Result<Report, AttackError> {
    let items = likelihood.items();
    sample.check(items)?;
    prior.check(items)?;
    let mut counts = Counts::default();
    for record in sample.records() {
        for (&original, &output) in record.original().iter().zip(record.observed()) {
            let row = likelihood.row(output).checked(output, items)?;
            counts.token(original, output, guess(output, &row, prior));
        }
    }
    Ok(counts.without_context(sample))
}

#[cfg(test)]
#[path = "bayes_tests.rs"]
mod tests;
