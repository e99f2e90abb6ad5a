use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::test_statistics::chi_square_score;
use crate::{Purpose, SecretSeed};

#[test]
fn a_batch_equals_that_of_the_second_implementation() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../goldens/streams.json")).unwrap();
    let expected: Vec<usize> = serde_json::from_value(golden["poisson_30_of_0.3"].clone()).unwrap();
    let mut rng =
        SecretSeed::from_bytes(std::array::from_fn(|i| i as u8)).stream(Purpose::PoissonSampling, 3);
    assert_eq!(sample_batch(&mut rng, 30, 0.3), expected);
}

#[test]
fn the_extreme_rates_take_none_and_all() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    for none in [0.0, -1.0, f64::NAN] {
        assert!(sample_batch(&mut rng, 100, none).is_empty());
    }
    for all in [1.0, 2.0, f64::INFINITY] {
        assert_eq!(sample_batch(&mut rng, 100, all), (0..100).collect::<Vec<_>>());
    }
    assert!(sample_batch(&mut rng, 0, 0.5).is_empty());
}

#[test]
fn the_threshold_is_rounded_down() {
    assert_eq!(threshold(0.5), 1 << 63);
    assert_eq!(threshold(2.0_f64.powi(-64)), 1);
    assert_eq!(threshold(2.0_f64.powi(-64) * 1.75), 1);
    assert_eq!(threshold(2.0_f64.powi(-65)), 0);
}

// The size of a batch over a few records takes each of its values with the binomial probability, and so do pairs of
// records: 3 records give 8 subsets.
fn subset_counts(rate: f64) -> Vec<u64> {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let mut counts = vec![0; 8];
    for _ in 0..100_000 {
        let subset: usize = sample_batch(&mut rng, 3, rate).iter().map(|record| 1 << record).sum();
        counts[subset] += 1;
    }
    counts
}

fn subset_probabilities(rate: f64) -> Vec<f64> {
    (0..8_u32)
        .map(|subset| {
            rate.powi(subset.count_ones() as i32) * (1.0 - rate).powi(subset.count_zeros() as i32 - 29)
        })
        .collect()
}

#[test]
fn every_subset_has_the_product_probability() {
    let score = chi_square_score(&subset_counts(0.3), &subset_probabilities(0.3));
    assert!(score < 4.0, "{score}");
}

#[test]
fn the_test_of_subsets_rejects_a_rate_that_is_off() {
    assert!(chi_square_score(&subset_counts(0.31), &subset_probabilities(0.3)) > 4.0);
}

proptest! {
    #[test]
    fn indices_ascend_and_stay_in_range(records in 0_usize..500, rate in 0.0_f64..1.0, seed: [u8; 32]) {
        let batch = sample_batch(&mut ChaCha20Rng::from_seed(seed), records, rate);
        prop_assert!(batch.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(batch.iter().all(|&index| index < records));
    }

    #[test]
    fn the_true_rate_is_never_above_the_accounted_one(rate in 0.0_f64..1.0) {
        // Exact: a threshold of at most 2^64 with 53 significant bits is a double.
        let true_rate = threshold(rate) as f64 / 2.0_f64.powi(64);
        prop_assert!(true_rate <= rate && rate - true_rate < 2.0_f64.powi(-64));
    }
}
