use super::*;

const NORM: f64 = 0.5;

fn gradient(engine: &CanaryEngine, records: &Records, index: usize) -> Vec<f32> {
    let mut gradient = vec![0.0; engine.dimension()];
    engine.add_record_gradient(records.get(index), &mut gradient).unwrap();
    gradient
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn coins_are_fair_replayable_and_differ_by_seed() {
    let coins = toss(3, 40_000);
    let heads = coins.iter().filter(|coin| **coin).count();
    // Deviation 100.
    assert!((heads as f64 - 20_000.0).abs() < 400.0, "{heads}");
    let pairs = coins.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((pairs as f64 - 20_000.0).abs() < 400.0, "neighbouring coins agree {pairs} times");
    assert_eq!(toss(3, 100), coins[..100]);
    assert_ne!(toss(4, 100), coins[..100]);
}

#[test]
fn the_secret_of_a_run_differs_by_seed() {
    assert_eq!(trainer_seed(1), trainer_seed(1));
    assert_ne!(trainer_seed(1), trainer_seed(2));
}

#[test]
fn a_canary_is_loud_in_its_own_coordinate_and_silent_when_it_is_out() {
    let engine = CanaryEngine::new(vec![true, false, true], NORM);
    let records = numbered_records(6).unwrap();
    for (index, present) in [(0, true), (1, false), (2, true)] {
        let found = gradient(&engine, &records, index);
        let mut expected = vec![0.0; engine.dimension()];
        expected[index] = if present { 25.0 } else { 0.0 };
        assert_eq!(found, expected, "canary {index}");
    }
}

#[test]
fn ordinary_records_touch_no_canary_and_some_are_clipped() {
    let engine = CanaryEngine::new(vec![true; 3], NORM);
    let records = numbered_records(13).unwrap();
    let mut clipped = 0;
    for index in 3..13 {
        let found = gradient(&engine, &records, index);
        assert!(found[..3].iter().all(|value| *value == 0.0), "record {index}");
        clipped += usize::from(norm(&found) > NORM * 1.001);
        assert!(norm(&found) > 0.1 * NORM);
    }
    assert!((2..9).contains(&clipped), "{clipped} of 10");
    assert_ne!(gradient(&engine, &records, 5), gradient(&engine, &records, 10), "equal norms, other signs");
}

#[test]
fn a_gradient_is_added_to_what_is_there() {
    let engine = CanaryEngine::new(vec![true; 3], NORM);
    let records = numbered_records(4).unwrap();
    let mut sum = vec![1.0; engine.dimension()];
    for index in [1, 3] {
        engine.add_record_gradient(records.get(index), &mut sum).unwrap();
    }
    let apart = gradient(&engine, &records, 1).into_iter().zip(gradient(&engine, &records, 3));
    assert_eq!(sum, apart.map(|(a, b)| 1.0 + a + b).collect::<Vec<_>>());
}

#[test]
fn no_records_are_an_error() {
    assert!(matches!(numbered_records(0), Err(DataError::NoRecords)));
}
