use super::*;
use crate::store::MemoryStore;

#[test]
fn the_bound_doubles_up_to_the_largest() {
    for taken in 1..100 {
        let bound = (FIRST.as_secs_f64() * 2_f64.powi(taken as i32 - 1)).min(LARGEST.as_secs_f64());
        for caller in 0..100_u8 {
            assert!(wait(&[caller], taken).as_secs_f64() <= bound, "{taken}");
        }
    }
}

#[test]
fn all_turns_together_end_while_a_request_lives() {
    let all = |caller: u32| (1..MOST_LOST).map(|taken| wait(&caller.to_le_bytes(), taken)).sum::<Duration>();
    let longest = (0..1000).map(all).max().unwrap();
    assert!(longest < Duration::from_secs(12), "{longest:?}");
}

#[test]
fn callers_wait_differently_long() {
    // Of a hundred waits within 0.4 s, their mean is 0.2 s give or take four standard deviations, and no two are equal.
    let mut waits: Vec<_> = (0..100_u8).map(|caller| wait(&[caller], 11)).collect();
    let mean = waits.iter().sum::<Duration>().as_secs_f64() / 100.0;
    assert!((mean - 0.2).abs() < 0.4 * 4.0 * 0.2887 / 10.0, "{mean}");
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 100);
}

#[tokio::test]
async fn lost_races_and_failures_are_counted_apart() {
    let store = MemoryStore::new();
    let mut turns = Turns::default();
    for _ in 0..MOST_FAILED - 1 {
        turns.failed();
    }
    for _ in 0..MOST_LOST - 1 {
        turns.lost();
        assert!(turns.next(&store, b"").await);
    }
    turns.failed();
    assert!(!turns.next(&store, b"").await);
    let lost = Turns { lost: MOST_LOST, failed: 0 };
    assert!(!lost.next(&store, b"").await);
}
