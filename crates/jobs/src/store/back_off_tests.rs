use super::*;

#[test]
fn the_first_turn_waits_for_nobody_and_none_waits_longer_than_the_bound() {
    assert_eq!(wait(b"a", 0), Duration::ZERO);
    for turn in 1..100 {
        for caller in 0..100_u8 {
            let bound = (FIRST.as_secs_f64() * 2_f64.powi(turn as i32 - 1)).min(LARGEST.as_secs_f64());
            assert!(wait(&[caller], turn).as_secs_f64() <= bound, "{turn}");
        }
    }
}

#[test]
fn all_turns_together_end_within_seven_seconds() {
    let longest: Duration = (0..1000_u32)
        .map(|caller| (0..MAX_TRIES).map(|turn| wait(&caller.to_le_bytes(), turn)).sum())
        .max()
        .unwrap();
    assert!(longest < Duration::from_secs(7), "{longest:?}");
}

#[test]
fn callers_wait_differently_long() {
    // Of a hundred waits within a second, their mean is half a second give or take four standard deviations, and no two are equal.
    let mut waits: Vec<_> = (0..100_u8).map(|caller| wait(&[caller], 11)).collect();
    let mean = waits.iter().sum::<Duration>().as_secs_f64() / 100.0;
    assert!((mean - 0.5).abs() < 4.0 * 0.2887 / 10.0, "{mean}");
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 100);
}
