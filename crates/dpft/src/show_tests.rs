use super::*;

#[test]
fn durations_read_well() {
    assert_eq!(
        [duration(0.2), duration(61.0), duration(7260.0), duration(f64::NAN)],
        ["1 s", "1 min 1 s", "2 h 1 min", "0 s"]
    );
}

#[test]
fn an_error_says_each_cause_once() {
    let plain = anyhow::anyhow!("no disk").context("cannot write x");
    assert_eq!(error(&plain), "cannot write x: no disk");
    let quoting = anyhow::anyhow!("in use").context("port 1 cannot be used (in use)");
    assert_eq!(error(&quoting), "port 1 cannot be used (in use)");
}

#[test]
fn the_bar_template_is_valid() {
    assert!(ProgressStyle::with_template("{msg:<28} [{bar:30}] {pos}/{len} {prefix} {eta}").is_ok());
    assert_eq!(bar(3, "x").length(), Some(3));
}

#[test]
fn times_are_those_of_the_calendar() {
    // date -u -d @N '+%Y-%m-%d %H:%M'
    let cases = [
        (0, "1970-01-01 00:00"),
        (68_169_599, "1972-02-28 23:59"),
        (68_169_600, "1972-02-29 00:00"),
        (68_256_000, "1972-03-01 00:00"),
        (951_782_400, "2000-02-29 00:00"),
        (1_704_067_199, "2023-12-31 23:59"),
        (1_704_067_200, "2024-01-01 00:00"),
        (4_107_542_400, "2100-03-01 00:00"),
    ];
    for (seconds, text) in cases {
        assert_eq!(utc(seconds), text, "{seconds}");
    }
    assert!(utc(u64::MAX).starts_with("9999-12-"));
}
