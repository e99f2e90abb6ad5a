//! What a person sees while something long runs, and figures in words.

use indicatif::{ProgressBar, ProgressStyle};
use protocol::api::JobObject;
use protocol::certificate::Certificate;

/// A bar for `total` units of `what`, on stderr.
pub(crate) fn bar(total: u64, what: &str) -> ProgressBar {
    // The template is a constant that indicatif parses; a test covers it.
    let style = ProgressStyle::with_template("{msg:<28} [{bar:30}] {pos}/{len} {prefix} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.to_owned())
}

/// One line about where a job stands.
pub(crate) fn job_line(job: &JobObject) -> String {
    let status =
        serde_json::to_value(job.status).ok().and_then(|s| s.as_str().map(str::to_owned)).unwrap_or_default();
    let p = &job.progress;
    let left = p
        .seconds_left()
        .filter(|_| job.finished_at.is_none())
        .map(|s| format!(", about {} left", duration(s)))
        .unwrap_or_default();
    format!(
        "{status}: step {} of {}, {} records, ε {:.3} of {:.3} spent{left}",
        p.step, p.total_steps, p.records, p.epsilon_spent, p.epsilon_target
    )
}

/// What a certificate promises, a line for each of its two guarantees.
pub(crate) fn certificate(certificate: &Certificate) -> String {
    let t = &certificate.training;
    let accountant = match t.accountant {
        dp::Accountant::Rdp => "Rényi",
        _ => "privacy loss distribution",
    };
    let training = format!(
        "training: ({:.4}, {:e})-DP for each record (add or remove one), DP-SGD, noise multiplier {:.4}, sampling rate {:.4}, {} steps, clipping norm {} ({}), {accountant} accountant",
        t.epsilon, t.delta, t.noise_multiplier, t.sampling_rate, t.steps, t.max_grad_norm, t.clipping,
    );
    let local = certificate.local.as_ref().map_or("text: not perturbed, the service saw it".to_owned(), |l| {
        let (per_token, longest) = (l.epsilon_per_token, l.epsilon_of_longest_record);
        let (unit, longest_record) = (&l.unit, l.max_tokens_in_a_record);
        let delta = l.delta.map_or(String::new(), |delta| format!(", at delta {delta:e}"));
        format!("text: {per_token}-LDP for each {unit}; at most {longest:.0} for the longest record ({longest_record} {unit}s){delta}")
    });
    format!("{local}\n{training}")
}

/// An error with its causes on one line; a cause that its effect has quoted already is left out.
pub(crate) fn error(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        said if said.contains(&cause) => line,
        _ => format!("{line}: {cause}"),
    })
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    // Rounded up to a whole second; negative or absurd values show as 0 or a large number, never panic.
    let seconds = seconds.ceil().max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Unix seconds as a date and time of UTC, to the minute.
pub(crate) fn utc(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    // After 9999 the year stays, so that no number of seconds makes this slow.
    let mut year = 1970;
    while year < 9999 && days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths.iter().take(11) {
        if days < *length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02}", days + 1, rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
