use std::collections::BTreeSet;

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn results_arrive_in_order_whatever_the_threads(count in 0usize..200, threads in 1usize..9) {
        let mut seen = Vec::new();
        for_each_in_order(count, threads, |i| Ok::<_, ()>(i * i), |v| seen.push(v)).unwrap();
        prop_assert_eq!(seen, (0..count).map(|i| i * i).collect::<Vec<_>>());
    }
}

#[test]
fn a_sum_of_floats_has_the_same_bits_for_every_number_of_threads() {
    let values = crate::fixtures::random(1, 1000, 1e4);
    let sum = |threads| {
        let mut sum = 0.0f32;
        for_each_in_order(1000, threads, |i| Ok::<_, ()>(values[i]), |v| sum += v).unwrap();
        sum.to_bits()
    };
    assert!((2..9).all(|threads| sum(threads) == sum(1)));
    // Another order has other bits, or the test above could not fail.
    assert_ne!(values.iter().rev().fold(0.0f32, |s, v| s + v).to_bits(), sum(1));
}

#[test]
fn a_slow_first_result_holds_the_others_back() {
    const THREADS: usize = 4;
    let (started, release) = (Mutex::new(BTreeSet::new()), Condvar::new());
    let mut order = Vec::new();
    for_each_in_order(
        100,
        THREADS,
        |index| {
            let mut seen = started.lock().unwrap();
            seen.insert(index);
            release.notify_all();
            // Result 0 comes only when all that the window allows have started.
            while index == 0 && seen.len() < THREADS * WINDOW_PER_THREAD {
                seen = release.wait(seen).unwrap();
            }
            let farthest = *seen.last().unwrap();
            drop(seen);
            if index == 0 {
                assert!(farthest < THREADS * WINDOW_PER_THREAD, "{farthest} ran too far ahead");
            }
            Ok::<_, ()>(index)
        },
        |index| order.push(index),
    )
    .unwrap();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[test]
fn an_error_stops_the_work_and_is_returned() {
    for threads in 1..5 {
        let mut seen = Vec::new();
        let produce = |i| if i == 13 { Err("thirteen") } else { Ok(i) };
        assert_eq!(for_each_in_order(10_000, threads, produce, |v| seen.push(v)), Err("thirteen"));
        assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>());
        assert!(seen.len() <= 13);
    }
}

#[test]
fn a_panic_reaches_the_caller_instead_of_leaving_threads_waiting() {
    for threads in 1..5 {
        let work = || {
            for_each_in_order(
                1000,
                threads,
                |i| {
                    assert_ne!(i, 7);
                    Ok::<_, ()>(i)
                },
                |_| (),
            )
        };
        assert!(std::panic::catch_unwind(work).is_err());
    }
}
