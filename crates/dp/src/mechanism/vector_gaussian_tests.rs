use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::Notion;
use crate::test_statistics::{kolmogorov_smirnov, normal_cumulative};

fn delta(value: f64) -> Delta {
    Delta::try_from(value).unwrap()
}

#[test]
fn the_original_services_setting_is_labelled_honestly() {
    let mechanism = VectorGaussian::new(50, Region::Box, 0.1).unwrap();
    let classical = classical_epsilon(2.0, 0.1, delta(1e-5));
    assert!((classical - 96.9).abs() < 0.05, "{classical}");
    // The root of Theorem 8 in sixty digits, by goldens/mechanisms.py: 10602.161437899069.
    let exact = mechanism.contract(delta(1e-5)).epsilon_per_token();
    assert!((10_602.161_437..10_602.162).contains(&exact), "{exact}");
    let sensitivity = mechanism.contract(delta(1e-5)).sensitivity();
    assert!(matches!(sensitivity, Sensitivity::L2(d) if (d - 200_f64.sqrt()).abs() < 1e-12));
}

#[test]
fn the_unit_ball_needs_less_noise_than_the_box() {
    let at = delta(1e-6);
    let of = |region| VectorGaussian::new(50, region, 1.0).unwrap().contract(at);
    assert!(of(Region::UnitBall).epsilon_per_token() < of(Region::Box).epsilon_per_token() / 4.0);
    assert_eq!(of(Region::Box).notion(), Notion::ApproximateLdp { delta: at });
    assert_eq!(of(Region::UnitBall).sensitivity(), Sensitivity::L2(2.0));
}

#[test]
fn noise_for_an_epsilon_is_just_enough() {
    for (target, region) in
        [(0.1, Region::Box), (1.0, Region::UnitBall), (8.0, Region::Box), (500.0, Region::UnitBall)]
    {
        let target = Epsilon::try_from(target).unwrap();
        let mechanism = VectorGaussian::with_epsilon(50, region, target, delta(1e-5)).unwrap();
        let spent = mechanism.contract(delta(1e-5)).epsilon_per_token();
        assert!(spent <= target.get() && spent > target.get() * (1.0 - 1e-4), "{spent} for {target}");
    }
}

fn noise(mechanism: &VectorGaussian, vector: &[f32], means: &[f64]) -> Vec<f64> {
    let mut rng = ChaCha20Rng::from_seed([61; 32]);
    let noisy = mechanism.sample(&mut rng, vector);
    noisy.iter().zip(means).map(|(x, mean)| (x - mean) / mechanism.standard_deviation()).collect()
}

#[test]
fn noise_is_normal_around_the_point() {
    let dimension = 100_000;
    let mechanism = VectorGaussian::new(dimension, Region::Box, 0.1).unwrap();
    let vector: Vec<f32> = (0..dimension).map(|i| (i % 7) as f32 - 3.0).collect();
    let clamped: Vec<f64> = vector.iter().map(|x| f64::from(x.clamp(-1.0, 1.0))).collect();
    let unclamped: Vec<f64> = vector.iter().map(|&x| f64::from(x)).collect();
    assert!(kolmogorov_smirnov(noise(&mechanism, &vector, &clamped), normal_cumulative) < 1.95);
    assert!(kolmogorov_smirnov(noise(&mechanism, &vector, &unclamped), normal_cumulative) > 10.0);
    let ball = VectorGaussian::new(dimension, Region::UnitBall, 0.1).unwrap();
    let norm = unclamped.iter().map(|x| x * x).sum::<f64>().sqrt();
    let shortened: Vec<f64> = unclamped.iter().map(|x| x / norm).collect();
    assert!(kolmogorov_smirnov(noise(&ball, &vector, &shortened), normal_cumulative) < 1.95);
}

#[test]
fn outputs_lie_on_the_lattice_whatever_the_input() {
    // A power of two, so that the division is exact.
    let mechanism = VectorGaussian::new(3, Region::UnitBall, 0.25).unwrap();
    let mut rng = ChaCha20Rng::from_seed([62; 32]);
    for vector in [[0.1, 0.2, 0.3], [1e-30, 1e30, 0.7], [f32::NAN, 1.0, 1.0]] {
        let noisy = mechanism.sample(&mut rng, &vector);
        assert!(noisy.iter().all(|x| (x * 4.0 * rounded_gaussian::STANDARD_DEVIATION).fract() == 0.0));
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    assert_eq!(VectorGaussian::new(0, Region::Box, 1.0), Err(DpError::Dimension(0)));
    for sigma in [0.0, -0.1, 1e-9, 1e9, f64::NAN, f64::INFINITY] {
        let error = VectorGaussian::new(3, Region::Box, sigma).unwrap_err();
        assert!(matches!(error, DpError::StandardDeviation { .. }), "{sigma}");
    }
    let hopeless = Epsilon::try_from(1e-9).unwrap();
    assert!(VectorGaussian::with_epsilon(50, Region::Box, hopeless, delta(1e-12)).is_err());
    let careless = Epsilon::try_from(1e15).unwrap();
    assert!(VectorGaussian::with_epsilon(50, Region::Box, careless, delta(1e-5)).is_err());
}

#[test]
#[should_panic(expected = "mechanism's dimension")]
fn a_vector_of_another_dimension_is_refused() {
    let mechanism = VectorGaussian::new(3, Region::Box, 1.0).unwrap();
    mechanism.sample(&mut ChaCha20Rng::from_seed([0; 32]), &[1.0]);
}

#[test]
#[should_panic(expected = "room for each vector")]
fn a_vector_without_room_is_refused() {
    let mechanism = VectorGaussian::new(2, Region::Box, 1.0).unwrap();
    mechanism.sample_into(&mut ChaCha20Rng::from_seed([0; 32]), [&[1.0, 1.0][..]; 2], &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "a vector for all of the room")]
fn room_without_a_vector_is_refused() {
    let mechanism = VectorGaussian::new(2, Region::Box, 1.0).unwrap();
    mechanism.sample_into(&mut ChaCha20Rng::from_seed([0; 32]), [&[1.0, 1.0][..]], &mut [0.0; 4]);
}

proptest! {
    // In integers until the last product, and with one generator: the definition.
    #[test]
    fn many_at_once_are_the_definition_one_by_one(
        seed: [u8; 32], count in 0_usize..40, dimension in 1_usize..90, log_sigma in -13.0_f64..13.0, ball: bool,
        values in prop::collection::vec(-1.5_f32..1.5, 40 * 90),
    ) {
        let region = if ball { Region::UnitBall } else { Region::Box };
        let mechanism = VectorGaussian::new(dimension, region, log_sigma.exp()).unwrap();
        let vectors = || values.chunks_exact(dimension).take(count);
        let mut noisy = vec![0.0; count * dimension];
        mechanism.sample_into(&mut ChaCha20Rng::from_seed(seed), vectors(), &mut noisy);
        let (mut rng, mut single) = (ChaCha20Rng::from_seed(seed), ChaCha20Rng::from_seed(seed));
        let step = log_sigma.exp() / rounded_gaussian::STANDARD_DEVIATION;
        let radius = (rounded_gaussian::STANDARD_DEVIATION / log_sigma.exp()).next_down();
        for (vector, noisy) in vectors().zip(noisy.chunks_exact(dimension)) {
            let point = region.point(vector, radius);
            let integers = point.iter().map(|x| x + i64::from(rounded_gaussian::sample(&mut rng)));
            let expected: Vec<u64> = integers.map(|x| (x as f64 * step).to_bits()).collect();
            prop_assert_eq!(noisy.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected);
            prop_assert_eq!(mechanism.sample(&mut single, vector), noisy);
        }
    }
}
