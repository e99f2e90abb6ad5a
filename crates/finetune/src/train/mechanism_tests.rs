use super::*;
use crate::fixtures::{random, seed};
use crate::lora::ModuleNames;
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
        clipper: Clipper::default(),
        seed: seed(3),
    }
}

/// What the configuration makes of `privacy`, with the layout of a tiny model's adapter.
fn of_privacy(privacy: Privacy) -> Box<dyn StepMechanism> {
    of(&TrainingConfig::new(privacy), &layout(), RECORDS, seed(3))
}

/// Two blocks of one pair each, of 16 and 24 values.
fn layout() -> LoraLayout {
    let names = ModuleNames { block: "blocks".into(), paths: vec!["linear".into()], transposed: false };
    LoraLayout::from_places(2, names, [(0, 0, (3, 5)), (1, 0, (4, 8))])
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
fn every_rule_clips_as_it_says_and_to_the_same_norm() {
    let gradient: Vec<f32> = random(8, 16, 1.0).into_iter().chain(random(9, 24, 0.01)).collect();
    let moved = |clipping| {
        let config = TrainingConfig { clipping, ..TrainingConfig::new(Privacy::DpSgd(private().plan)) };
        let mechanism = of(&config, &layout(), RECORDS, seed(3));
        let [with, without] = [vec![gradient.clone()], Vec::new()].map(|all| released(&*mechanism, &all, 3));
        with.iter().zip(&without).map(|(a, b)| 4.0 * f64::from(a - b)).collect::<Vec<f64>>()
    };
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let (length, tail) = (squared_norm(&gradient).sqrt(), squared_norm(&gradient[16..]).sqrt());
    let (flat, auto, per_layer) = (moved(Clipping::Flat), moved(Clipping::Auto), moved(Clipping::PerLayer));
    assert!((norm(&flat) - NORM).abs() < 1e-5);
    assert!((norm(&auto) - NORM * length / (length + 0.01)).abs() < 1e-5 && norm(&auto) < NORM - 1e-4);
    // The first block is cut to NORM/√2, the second is shorter than that and stays.
    assert!((norm(&per_layer[..16]) - NORM / 2f64.sqrt()).abs() < 1e-5, "{}", norm(&per_layer[..16]));
    assert!((norm(&per_layer[16..]) - tail).abs() < 1e-5 && tail > 0.01 && tail < NORM / 2f64.sqrt());
    assert!(norm(&flat[16..]) < 0.5 * tail, "flat clipping shrinks both alike");
}

#[test]
fn no_gradient_moves_the_release_by_more_than_the_norm() {
    for rule in [Clipping::Flat, Clipping::Auto, Clipping::PerLayer] {
        let clipper = Clipper::new(rule, block_lengths(&layout()));
        no_gradient_moves_by_more_than_the_norm(&PoissonGaussian { clipper, ..private() }, rule);
    }
}

fn no_gradient_moves_by_more_than_the_norm(mechanism: &PoissonGaussian, rule: Clipping) {
    let rest = vec![random(1, 40, 1.0), random(2, 40, 0.01)];
    let without = released(mechanism, &rest, 3);
    for size in [1e-6f32, 0.05, 1.0, 1e19, 1e38, f32::INFINITY, f32::NAN] {
        let gradients = [rest.clone(), vec![vec![size; 40]]].concat();
        let moved = 4.0 * squared_gap(&released(mechanism, &gradients, 3), &without).sqrt();
        assert!(moved <= NORM * (1.0 + 1e-5), "{rule}: a gradient of {size} moves the sum by {moved}");
        if rule != Clipping::Flat {
            continue;
        }
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
    let mechanism = of_privacy(Privacy::NonPrivate { batch_size: 5, steps: 12 });
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
    let mechanism = of_privacy(Privacy::NonPrivate { batch_size: 2, steps: 12 });
    let found = released(&*mechanism, &[vec![3.0; 40], vec![1.0; 40]], 0);
    assert_eq!(found, vec![2.0; 40]);
}

#[test]
fn the_configuration_decides_the_mechanism() {
    let private = private();
    let found = of_privacy(Privacy::DpSgd(private.plan.clone()));
    let gradients = [random(5, 40, 1.0)];
    assert_eq!(released(&*found, &gradients, 2), released(&private, &gradients, 2));
    let noise = squared_norm(&released(&*found, &[], 2)) / 40.0;
    assert!((0.4..2.0).contains(&(noise / 0.01)), "{noise}");
}
