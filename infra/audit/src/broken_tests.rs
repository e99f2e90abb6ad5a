use super::*;
use dp::{Delta, PrivacyUnit};

const RECORDS: usize = 40;
const BATCH: usize = 8;
const NORM: f64 = 0.5;

fn plan() -> DpSgdPlan {
    let parameters = PlanParameters {
        records: RECORDS,
        expected_batch_size: BATCH,
        steps: 60,
        max_grad_norm: NORM,
        delta: Delta::try_from(1e-5).unwrap(),
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: None,
        accountant: dp::Accountant::Pld,
    };
    DpSgdPlan::with_noise_multiplier(parameters, 2.0).unwrap()
}

fn mechanism(subject: Subject) -> Box<dyn StepMechanism> {
    subject.mechanism(&plan(), SecretSeed::from_bytes([9; 32])).unwrap()
}

/// The release of gradients along single coordinates, each given as (coordinate, size).
fn released(subject: Subject, gradients: &[(usize, f32)], step: u64) -> Vec<f32> {
    let mechanism = mechanism(subject);
    let mut sum = mechanism.accumulator(1000);
    for &(place, size) in gradients {
        let mut gradient = vec![0.0; 1000];
        gradient[place] = size;
        sum.add(&gradient, 4.0);
    }
    sum.release(step).gradient
}

fn deviation(values: &[f32]) -> f64 {
    (values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[test]
fn each_subject_draws_the_batches_that_its_name_says() {
    let honest: Vec<Vec<usize>> = (0..20).map(|step| mechanism(Subject::Honest).batch(step)).collect();
    for subject in Subject::ALL {
        let batches: Vec<Vec<usize>> = (0..20).map(|step| mechanism(subject).batch(step)).collect();
        assert_eq!(batches == honest, subject != Subject::ShuffledOnce, "{subject:?}");
    }
}

#[test]
fn the_shuffled_trainer_deals_the_same_batches_in_every_epoch() {
    let shuffled = mechanism(Subject::ShuffledOnce);
    let epoch: Vec<usize> = (0..5).flat_map(|step| shuffled.batch(step)).collect();
    let mut sorted = epoch.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..RECORDS).collect::<Vec<_>>());
    assert_ne!(sorted, epoch);
    for step in 0..5 {
        assert_eq!(shuffled.batch(step).len(), BATCH);
        assert_eq!(shuffled.batch(step + 5), shuffled.batch(step));
    }
}

#[test]
fn the_noise_is_as_large_as_each_name_says() {
    // z·C/B = 2·0.5/8; the deviation of 1,000 draws is within 5/√2000 of it.
    for (subject, expected) in [
        (Subject::Honest, 0.125),
        (Subject::NoNoise, 0.0),
        (Subject::HalfNoise, 0.0625),
        (Subject::ClipAfterSum, 0.125),
        (Subject::ShuffledOnce, 0.125),
        (Subject::SeedReuse, 0.125),
    ] {
        let found = deviation(&released(subject, &[], 3));
        assert!((found - expected).abs() <= 0.112 * expected, "{subject:?}: {found}");
    }
}

#[test]
fn only_the_seed_reuse_repeats_its_noise() {
    for subject in Subject::ALL.into_iter().filter(|subject| *subject != Subject::NoNoise) {
        let same = released(subject, &[], 3) == released(subject, &[], 4);
        assert_eq!(same, subject == Subject::SeedReuse, "{subject:?}");
    }
}

#[test]
fn a_loud_record_counts_once_except_where_the_mean_is_clipped() {
    for subject in Subject::ALL {
        let with = released(subject, &[(7, 1000.0), (8, -1e-3)], 5);
        let change = difference(&with, &released(subject, &[], 5));
        // The sum's sensitivity is C, the mean's C/B; the whole mean clipped to C is B times as large.
        let expected = if subject == Subject::ClipAfterSum { NORM } else { NORM / BATCH as f64 };
        assert!((f64::from(change[7]) - expected).abs() < 1e-3 * expected, "{subject:?}: {}", change[7]);
    }
}

#[test]
fn a_quiet_record_passes_unclipped_everywhere() {
    for subject in Subject::ALL {
        let change = difference(&released(subject, &[(7, 0.25)], 5), &released(subject, &[], 5));
        assert!((change[7] - 0.25 / BATCH as f32).abs() < 1e-6, "{subject:?}: {}", change[7]);
    }
}

#[test]
fn the_half_noise_is_that_of_a_plan_that_costs_more() {
    let half = half_the_noise(&plan()).unwrap();
    assert_eq!(half.noise_multiplier(), 1.0);
    assert!(half.epsilon() > plan().epsilon());
    assert_eq!((half.steps(), half.records(), half.delta()), (60, RECORDS, plan().delta()));
}

#[test]
fn names_differ_and_only_one_is_honest() {
    let names: std::collections::BTreeSet<_> = Subject::ALL.into_iter().map(Subject::name).collect();
    assert_eq!(names.len(), Subject::ALL.len());
    assert_eq!(Subject::ALL.into_iter().filter(|subject| !subject.is_broken()).count(), 1);
}
