use super::*;
use crate::fixtures::{random, seed};
use crate::ops::matrix::squared_norm;
use dp::{Delta, PlanParameters, PrivacyUnit};

const RECORDS: usize = 12;
const NORM: f64 = 0.5;
const NOISE_MULTIPLIER: f64 = 0.8;

fn private() -> PoissonGaussian {
    let parameters = PlanParameters {
        records: RECORDS,
        expected_batch_size: 4,
        steps: 500,
        max_grad_norm: NORM,
        delta: Delta::try_from(1e-5).unwrap(),
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: None,
        accountant: dp::Accountant::Pld,
    };
    PoissonGaussian {
        plan: DpSgdPlan::with_noise_multiplier(parameters, NOISE_MULTIPLIER).unwrap(),
        seed: seed(3),
    }
}

fn released(mechanism: &dyn StepMechanism, gradients: &[Vec<f32>], step: u64) -> Vec<f32> {
    let mut sum = mechanism.accumulator(40);
    gradients.iter().for_each(|gradient| sum.add(gradient, 4.0));
    let released = sum.release(step);
    assert_eq!(released.loss, None);
    released.gradient
}

/// Σ over the values of (a − b)².
fn squared_gap(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn a_release_is_replayed_bit_for_bit_and_no_two_steps_share_their_noise() {
    let gradients = vec![random(1, 40, 1.0), random(2, 40, 1.0)];
    let mechanism = private();
    let first = released(&mechanism, &gradients, 7);
    assert_eq!(released(&private(), &gradients, 7), first);
    let noise = |step| released(&mechanism, &[], step);
    // Independent noise differs by 2·(0.8·0.5/4)² a coordinate; equal noise by nothing.
    let expected = 40.0 * 2.0 * 0.1 * 0.1;
    for step in 1..50 {
        let gap = squared_gap(&noise(step), &noise(step - 1));
        assert!((0.3 * expected..3.0 * expected).contains(&gap), "step {step}: {gap}");
    }
}

#[test]
fn no_gradient_moves_the_release_by_more_than_the_norm() {
    let mechanism = private();
    let rest = vec![random(1, 40, 1.0), random(2, 40, 0.01)];
    let without = released(&mechanism, &rest, 3);
    for size in [1e-6f32, 0.05, 1.0, 1e19, 1e38, f32::INFINITY, f32::NAN] {
        let gradients = [rest.clone(), vec![vec![size; 40]]].concat();
        let moved = 4.0 * squared_gap(&released(&mechanism, &gradients, 3), &without).sqrt();
        assert!(moved <= NORM * (1.0 + 1e-5), "a gradient of {size} moves the sum by {moved}");
        // Whether clipped or not, what is finite and not tiny does count.
        let norm = NORM.min(f64::from(size) * 40f64.sqrt());
        assert!(!size.is_finite() || (moved - norm).abs() < 1e-5 + 1e-3 * norm, "{size}: {moved}");
    }
}

#[test]
fn private_batches_are_those_of_the_plan() {
    let mechanism = private();
    let sizes: Vec<usize> = (0..500).map(|step| mechanism.batch(step).len()).collect();
    let mean = sizes.iter().sum::<usize>() as f64 / 500.0;
    // Binomial(12, 1/3) has deviation 1.63; the mean of 500 has 0.073.
    assert!((mean - 4.0).abs() < 5.0 * 0.073, "{mean}");
    assert!(sizes.iter().any(|size| *size != 4), "batches of a fixed size are not what is accounted for");
    assert_eq!(private().batch(5), mechanism.batch(5));
}

#[test]
fn every_record_comes_once_an_epoch_without_privacy() {
    let mechanism = of(&Privacy::NonPrivate { batch_size: 5, steps: 12 }, RECORDS, seed(3));
    let drawn: Vec<usize> = (0..12).flat_map(|step| mechanism.batch(step)).collect();
    assert_eq!(drawn.len(), 60);
    for epoch in drawn.chunks(RECORDS) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..RECORDS).collect::<Vec<_>>());
    }
    assert_ne!(drawn[..RECORDS], drawn[RECORDS..2 * RECORDS]);
}

#[test]
fn without_privacy_the_release_is_the_plain_mean() {
    let mechanism = of(&Privacy::NonPrivate { batch_size: 2, steps: 12 }, RECORDS, seed(3));
    let found = released(&*mechanism, &[vec![3.0; 40], vec![1.0; 40]], 0);
    assert_eq!(found, vec![2.0; 40]);
}

#[test]
fn the_configuration_decides_the_mechanism() {
    let private = private();
    let found = of(&Privacy::DpSgd(private.plan.clone()), RECORDS, seed(3));
    let gradients = [random(5, 40, 1.0)];
    assert_eq!(released(&*found, &gradients, 2), released(&private, &gradients, 2));
    let noise = squared_norm(&released(&*found, &[], 2)) / 40.0;
    assert!((0.4..2.0).contains(&(noise / 0.01)), "{noise}");
}
