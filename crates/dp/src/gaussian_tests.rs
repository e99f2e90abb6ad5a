use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::test_statistics::{kolmogorov_smirnov, normal_cumulative};
use crate::{Purpose, SecretSeed};

const DRAWS: usize = 200_000;

fn draws(count: usize) -> Vec<f64> {
    let mut rng = ChaCha20Rng::from_seed([11; 32]);
    (0..count).map(|_| sample(&mut rng)).collect()
}

#[test]
fn draws_equal_those_of_the_second_implementation() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../goldens/streams.json")).unwrap();
    let mut rng = SecretSeed::from_bytes(std::array::from_fn(|i| i as u8)).stream(Purpose::GradientNoise, 3);
    for expected in golden["gaussian"].as_array().unwrap() {
        let difference = sample(&mut rng) - expected.as_f64().unwrap();
        assert!(difference.abs() < 1e-14, "{difference}");
    }
}

#[test]
fn draws_are_standard_normal() {
    let score = kolmogorov_smirnov(draws(DRAWS), normal_cumulative);
    assert!(score < 1.95, "{score}");
}

#[test]
fn the_test_of_normality_rejects_a_scale_that_is_two_percent_off() {
    let wider = draws(DRAWS).iter().map(|x| x * 1.02).collect();
    assert!(kolmogorov_smirnov(wider, normal_cumulative) > 1.95);
    let shifted = draws(DRAWS).iter().map(|x| x + 0.01).collect();
    assert!(kolmogorov_smirnov(shifted, normal_cumulative) > 1.95);
}

#[test]
fn the_test_of_normality_rejects_a_sum_of_four_that_is_not_halved() {
    let mut rng = ChaCha20Rng::from_seed([12; 32]);
    let unhalved = (0..DRAWS).map(|_| 2.0 * sample(&mut rng)).collect();
    assert!(kolmogorov_smirnov(unhalved, normal_cumulative) > 10.0);
}

#[test]
fn moments_and_successive_draws_are_right() {
    let draws = draws(DRAWS);
    let mean = |f: &dyn Fn(f64) -> f64| draws.iter().map(|&x| f(x)).sum::<f64>() / DRAWS as f64;
    // Five standard errors of each: variances of x, x², x³, x⁴ are 1, 2, 15, 96.
    for (power, expected, variance) in [(1, 0.0, 1.0_f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let error = (mean(&|x| x.powi(power)) - expected).abs();
        assert!(error < 5.0 * (variance / DRAWS as f64).sqrt(), "moment {power}: {error}");
    }
    let lag_one = draws.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / DRAWS as f64;
    assert!(lag_one.abs() < 5.0 / (DRAWS as f64).sqrt(), "{lag_one}");
}

#[test]
fn noise_is_added_with_the_standard_deviation_asked_for() {
    let mut values = vec![5.0_f32; DRAWS];
    add_noise(&mut ChaCha20Rng::from_seed([13; 32]), 2.5, &mut values);
    let scaled = values.iter().map(|&value| (f64::from(value) - 5.0) / 2.5).collect();
    assert!(kolmogorov_smirnov(scaled, normal_cumulative) < 1.95);
}

#[test]
fn no_noise_leaves_values_as_they_are() {
    let mut values = [1.5_f32, -2.25];
    add_noise(&mut ChaCha20Rng::from_seed([13; 32]), 0.0, &mut values);
    assert_eq!(values, [1.5, -2.25]);
}
