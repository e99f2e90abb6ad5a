use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::test_statistics::{chi_square_score, kolmogorov_smirnov};
use crate::{Purpose, SecretSeed};

const DRAWS: usize = 300_000;

fn draws(scale: u64) -> Vec<i128> {
    let mut rng = ChaCha20Rng::from_seed([51; 32]);
    let noise = DiscreteLaplace::new(scale).unwrap();
    (0..DRAWS).map(|_| noise.sample(&mut rng)).collect()
}

#[test]
fn draws_equal_those_of_the_second_implementation() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../goldens/mechanisms.json")).unwrap();
    for case in golden["discrete_laplace"].as_array().unwrap() {
        let mut rng =
            SecretSeed::from_bytes(std::array::from_fn(|i| i as u8)).stream(Purpose::Perturbation, 3);
        let noise = DiscreteLaplace::new(case["scale"].as_u64().unwrap()).unwrap();
        for expected in case["draws"].as_array().unwrap() {
            assert_eq!(noise.sample(&mut rng), i128::from(expected.as_i64().unwrap()));
        }
    }
}

// P(Z = z) for −30 … 30 and all the rest.
fn probabilities(scale: f64) -> Vec<f64> {
    let a = (-1.0 / scale).exp();
    let inside: Vec<f64> = (-30_i32..=30).map(|z| (1.0 - a) / (1.0 + a) * a.powi(z.abs())).collect();
    let outside = 1.0 - inside.iter().sum::<f64>();
    inside.into_iter().chain([outside]).collect()
}

fn score(draws: &[i128], scale: f64) -> f64 {
    let mut counts = vec![0; 62];
    draws.iter().for_each(|z| counts[if z.abs() <= 30 { (z + 30) as usize } else { 61 }] += 1);
    chi_square_score(&counts, &probabilities(scale))
}

#[test]
fn draws_have_the_exact_law() {
    for scale in [5, 7, 12] {
        let score = score(&draws(scale), scale as f64);
        assert!(score < 4.0, "{scale}: {score}");
    }
}

#[test]
fn the_test_of_the_law_rejects_another_scale_and_a_zero_counted_twice() {
    let draws = draws(7);
    assert!(score(&draws, 7.2) > 4.0);
    // As if −0 had not been refused: each zero once more.
    let zeros = draws.iter().filter(|&&z| z == 0).count();
    let doubled: Vec<i128> = draws.iter().copied().chain(std::iter::repeat_n(0, zeros)).collect();
    assert!(score(&doubled, 7.0) > 4.0);
}

#[test]
fn large_scales_are_laplace() {
    let scale = 1_u64 << 40;
    let cumulative = |x: f64| if x < 0.0 { x.exp() / 2.0 } else { 1.0 - (-x).exp() / 2.0 };
    let standard: Vec<f64> = draws(scale).iter().map(|&z| z as f64 / scale as f64).collect();
    let wider = standard.iter().map(|x| x * 1.02).collect();
    assert!(kolmogorov_smirnov(standard, cumulative) < 1.95);
    assert!(kolmogorov_smirnov(wider, cumulative) > 1.95);
}

#[test]
fn bernoulli_trials_succeed_as_often_as_they_should() {
    let mut rng = ChaCha20Rng::from_seed([52; 32]);
    for (numerator, denominator) in
        [(0, 1), (1, 1), (1, 2), (3, 4), (999, 1000), (1, DiscreteLaplace::MAX_SCALE)]
    {
        let p = (-(numerator as f64) / denominator as f64).exp();
        let successes = (0..DRAWS).filter(|_| bernoulli_exp(&mut rng, numerator, denominator)).count() as f64;
        let n = DRAWS as f64;
        assert!(
            (successes - n * p).abs() <= 4.0 * (n * p * (1.0 - p)).sqrt() + 1e-6,
            "{numerator}/{denominator}"
        );
    }
}

#[test]
fn scales_out_of_range_are_refused() {
    assert_eq!(DiscreteLaplace::new(0), None);
    assert_eq!(DiscreteLaplace::new(DiscreteLaplace::MAX_SCALE + 1), None);
    assert_eq!(DiscreteLaplace::new(1).unwrap().scale(), 1);
}
