use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::test_statistics::kolmogorov_smirnov;
use crate::{Notion, Sensitivity};

fn epsilon(value: f64) -> Epsilon {
    Epsilon::try_from(value).unwrap()
}

#[test]
fn contracts_state_the_sensitivity_of_the_points() {
    let of = |region| VectorLaplace::new(50, region, epsilon(5.0)).unwrap();
    assert!(
        matches!(of(Region::Box).contract().sensitivity(), Sensitivity::L1(d) if (d - 100.0).abs() < 1e-12)
    );
    let ball = of(Region::UnitBall).contract().sensitivity();
    assert!(matches!(ball, Sensitivity::L1(d) if (d - 2.0 * 50_f64.sqrt()).abs() < 2e-6), "{ball:?}");
    let contract = of(Region::Box).contract();
    assert_eq!((contract.notion(), contract.epsilon_per_token()), (Notion::PureLdp, 5.0));
}

#[test]
fn the_metric_promise_reaches_the_pure_one_at_the_diameter() {
    let mechanism = VectorLaplace::new(50, Region::Box, epsilon(5.0)).unwrap();
    let Notion::Metric { epsilon_per_unit } = mechanism.metric_contract().notion() else {
        panic!("another notion");
    };
    assert!((epsilon_per_unit * 100.0 - 5.0).abs() < 1e-6, "{epsilon_per_unit}");
    assert_eq!(mechanism.metric_contract().epsilon_per_token(), 5.0);
}

fn laplace_cumulative(x: f64) -> f64 {
    if x < 0.0 { x.exp() / 2.0 } else { 1.0 - (-x).exp() / 2.0 }
}

#[test]
fn noise_is_laplace_of_the_sensitivity_over_epsilon() {
    let dimension = 50_000;
    let mechanism = VectorLaplace::new(dimension, Region::Box, epsilon(25_000.0)).unwrap();
    let noisy = mechanism.sample(&mut ChaCha20Rng::from_seed([71; 32]), &vec![0.5; dimension]);
    // Scale: 2d/ε = 4.
    let standard = |scale: f64| noisy.iter().map(|x| (x - 0.5) / scale).collect();
    assert!(kolmogorov_smirnov(standard(4.0), laplace_cumulative) < 1.95);
    assert!(kolmogorov_smirnov(standard(4.2), laplace_cumulative) > 1.95);
    assert!(noisy.iter().all(|x| (x * RADIUS).fract() == 0.0), "off the lattice");
}

// log of the ratio P(y | x) / P(y | x′) is Σ (|y − x′| − |y − x|)/t, in integers: over all outputs its largest value
// is the points' L1 distance over t.
fn worst_log_ratio_numerator(x: &[i64], other: &[i64]) -> i128 {
    let at = |y: &[i64]| -> i128 {
        let terms = y.iter().zip(x.iter().zip(other));
        terms.map(|(y, (a, b))| i128::from((y - b).abs()) - i128::from((y - a).abs())).sum()
    };
    // Each term is monotone in y between the two points and constant outside, so the points themselves decide.
    [x, other].into_iter().map(at).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn the_exact_ratio_of_any_two_inputs_is_within_epsilon(
        a in prop::collection::vec(-3.0_f32..3.0, 6), b in prop::collection::vec(any::<f32>(), 6),
        log_epsilon in -12.0_f64..9.0, ball: bool,
    ) {
        let region = if ball { Region::UnitBall } else { Region::Box };
        let mechanism = VectorLaplace::new(6, region, epsilon(log_epsilon.exp())).unwrap();
        let worst = worst_log_ratio_numerator(&region.point(&a, RADIUS), &region.point(&b, RADIUS));
        let scale = mechanism.noise.scale();
        prop_assert!(worst as f64 <= scale as f64 * log_epsilon.exp());
        let diameter = region.l1_diameter(6, LOG2_RADIUS);
        prop_assert!(worst <= diameter as i128);
        prop_assert!(diameter as f64 <= scale as f64 * log_epsilon.exp());
        prop_assert!(mechanism.exact_epsilon() <= log_epsilon.exp());
    }
}

proptest! {
    #[test]
    fn many_at_once_are_the_definition_one_by_one(
        seed: [u8; 32], count in 0_usize..10, dimension in 1_usize..40, log_epsilon in -12.0_f64..9.0, ball: bool,
        values in prop::collection::vec(-1.5_f32..1.5, 10 * 40),
    ) {
        let region = if ball { Region::UnitBall } else { Region::Box };
        let mechanism = VectorLaplace::new(dimension, region, epsilon(log_epsilon.exp())).unwrap();
        let vectors = || values.chunks_exact(dimension).take(count);
        let mut noisy = vec![0.0; count * dimension];
        mechanism.sample_into(&mut ChaCha20Rng::from_seed(seed), vectors(), &mut noisy);
        let (mut rng, mut single) = (ChaCha20Rng::from_seed(seed), ChaCha20Rng::from_seed(seed));
        for (vector, noisy) in vectors().zip(noisy.chunks_exact(dimension)) {
            let point = region.point(vector, RADIUS);
            let integers = point.iter().map(|&x| i128::from(x) + mechanism.noise.sample(&mut rng));
            prop_assert_eq!(integers.map(|x| x as f64 / RADIUS).collect::<Vec<_>>(), noisy);
            prop_assert_eq!(mechanism.sample(&mut single, vector), noisy);
        }
    }
}

#[test]
fn opposite_corners_spend_all_of_it() {
    let mechanism = VectorLaplace::new(6, Region::Box, epsilon(2.0)).unwrap();
    let corner = |sign| Region::Box.point(&[sign; 6], RADIUS);
    let worst = worst_log_ratio_numerator(&corner(1.0), &corner(-1.0)) as f64;
    assert!(worst / mechanism.noise.scale() as f64 > 2.0 * (1.0 - 1e-6));
    // A scale for half the sensitivity, as if only the vector's own size counted, would break the promise.
    assert!(worst / (mechanism.noise.scale() / 2) as f64 > 2.0);
}

#[test]
fn parameters_out_of_range_are_refused() {
    assert_eq!(VectorLaplace::new(0, Region::Box, epsilon(1.0)), Err(DpError::Dimension(0)));
    let error = VectorLaplace::new(1000, Region::Box, epsilon(1e-9)).unwrap_err();
    let DpError::EpsilonTooSmall { min, .. } = error else { panic!("{error}") };
    assert!(VectorLaplace::new(1000, Region::Box, epsilon(min * 1.01)).is_ok());
    assert!(VectorLaplace::new(1000, Region::Box, epsilon(min * 0.99)).is_err());
}

#[test]
#[should_panic(expected = "mechanism's dimension")]
fn a_vector_of_another_dimension_is_refused() {
    let mechanism = VectorLaplace::new(3, Region::Box, epsilon(1.0)).unwrap();
    mechanism.sample(&mut ChaCha20Rng::from_seed([0; 32]), &[1.0]);
}

#[test]
fn the_scale_is_the_sensitivity_over_epsilon() {
    let mechanism = VectorLaplace::new(50, Region::Box, Epsilon::try_from(20.0).unwrap()).unwrap();
    assert!((mechanism.scale() - 100.0 / 20.0).abs() < 1e-5, "{}", mechanism.scale());
}
