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
