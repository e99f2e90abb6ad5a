use super::*;

#[test]
fn a_manual_clock_moves_both_times_and_only_when_told() {
    let clock = ManualClock::new(1_000);
    assert_eq!((clock.now(), clock.monotonic()), (1_000, Duration::ZERO));
    clock.advance(Duration::from_millis(1_500));
    assert_eq!((clock.now(), clock.monotonic()), (1_001, Duration::from_millis(1_500)));
    clock.advance(Duration::from_millis(500));
    assert_eq!(clock.now(), 1_002, "fractions of a second add up");
}

#[test]
fn the_system_clock_shows_this_century_and_never_falls() {
    let clock = SystemClock::new();
    let (first, second) = (clock.monotonic(), clock.monotonic());
    assert!(clock.now() > 1_700_000_000);
    assert!(second >= first);
}
