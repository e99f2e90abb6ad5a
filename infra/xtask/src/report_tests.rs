use super::*;

fn line(name: &'static str, passed: u64, failed: u64, failure: Option<&str>) -> Line {
    let failure = failure.map(str::to_owned);
    Line { name, counts: Counts { passed, failed }, failure, took: Duration::from_millis(1500) }
}

#[test]
fn the_last_line_is_the_sum() {
    let text = summary(&[line("fmt", 1, 0, None), line("test", 40, 2, Some("two tests failed"))]);
    assert_eq!(text.lines().last(), Some("41 passed, 2 failed"));
    assert_eq!(Counts::read(text.lines().last().unwrap_or_default()), Counts { passed: 41, failed: 2 });
}

#[test]
fn each_stage_has_its_line() {
    let text = summary(&[line("fmt", 1, 0, None), line("test", 40, 2, Some("two tests failed"))]);
    assert!(text.contains("ok     fmt             1 passed   0 failed      1.5 s\n"), "{text}");
    assert!(
        text.contains("FAILED test           40 passed   2 failed      1.5 s   two tests failed\n"),
        "{text}"
    );
}

#[test]
fn nothing_run_is_nothing_passed() {
    assert_eq!(total(&[]), Counts::default());
}
