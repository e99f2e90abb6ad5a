use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::noise::golden;

fn request() -> PlanRequest {
    PlanRequest {
        records: 10_000,
        expected_batch_size: 64,
        steps: 500,
        max_grad_norm: 0.5,
        target_epsilon: Epsilon::try_from(4.0).unwrap(),
        delta: Delta::try_from(1e-6).unwrap(),
        unit: PrivacyUnit::Paragraph,
        release_losses: false,
    }
}

#[test]
fn a_calibrated_plan_spends_its_target_and_keeps_its_settings() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    assert!(plan.epsilon() <= 4.0 && plan.epsilon() > 3.996);
    assert_eq!((plan.records(), plan.expected_batch_size(), plan.steps()), (10_000, 64, 500));
    assert_eq!(plan.sampling_rate(), 0.0064);
    assert_eq!((plan.max_grad_norm(), plan.delta().get(), plan.unit()), (0.5, 1e-6, PrivacyUnit::Paragraph));
    assert_eq!((plan.relation(), plan.accountant()), (NeighboringRelation::AddOrRemoveOne, Accountant::Pld));
}

#[test]
fn epsilon_grows_from_zero_step_by_step() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    assert_eq!(plan.epsilon_after(0), 0.0);
    let spent: Vec<f64> = (0..=500).step_by(50).map(|steps| plan.epsilon_after(steps)).collect();
    // From some step on the Rényi bound is above the whole run's ε, which is then the lesser.
    assert!(spent.windows(2).all(|pair| pair[0] < pair[1] || pair[1] == plan.epsilon()), "{spent:?}");
    assert!(spent[1] > 0.0 && plan.epsilon_after(1) < plan.epsilon());
    assert_eq!(spent.last(), Some(&plan.epsilon()));
}

#[test]
fn settings_out_of_range_are_named() {
    let calibrate = |change: fn(&mut PlanRequest)| {
        let mut request = request();
        change(&mut request);
        DpSgdPlan::calibrate(request).unwrap_err()
    };
    assert_eq!(calibrate(|r| r.records = 0), DpError::NoRecords);
    assert_eq!(
        calibrate(|r| r.expected_batch_size = 0),
        DpError::BatchSize { expected_batch_size: 0, records: 10_000 }
    );
    assert_eq!(
        calibrate(|r| r.expected_batch_size = 10_001),
        DpError::BatchSize { expected_batch_size: 10_001, records: 10_000 }
    );
    assert_eq!(calibrate(|r| r.steps = 0), DpError::Steps(0));
    assert_eq!(calibrate(|r| r.max_grad_norm = 0.0), DpError::MaxGradNorm(0.0));
    assert_eq!(calibrate(|r| r.max_grad_norm = f64::INFINITY), DpError::MaxGradNorm(f64::INFINITY));
}

#[test]
fn a_calibrated_noise_is_rounded_up_so_that_hosts_agree() {
    for (value, rounded) in
        [(0.612_034_01, 0.612_035), (1.0, 1.0), (12.345_671, 12.345_7), (0.05, 0.05), (99_999.95, 100_000.0)]
    {
        assert!((round_up(value) / rounded - 1.0).abs() < 1e-15, "{value}: {}", round_up(value));
    }
    let noise = DpSgdPlan::calibrate(request()).unwrap().noise_multiplier();
    assert_eq!(noise, format!("{noise:.5e}").parse::<f64>().unwrap());
}

#[test]
fn losses_are_paid_for_out_of_the_same_target() {
    let without = DpSgdPlan::calibrate(request()).unwrap();
    let plan = DpSgdPlan::calibrate(PlanRequest { release_losses: true, ..request() }).unwrap();
    assert!(plan.epsilon() <= 4.0 && plan.epsilon() > 3.99);
    let (gradient, loss) = (plan.noise_multiplier(), plan.loss_noise_multiplier().unwrap());
    let relative = |a: f64, b: f64| (a / b - 1.0).abs();
    assert!(relative(plan.effective_noise_multiplier(), without.noise_multiplier()) < 2e-5);
    assert!(relative(gradient, without.noise_multiplier() / 0.95_f64.sqrt()) < 2e-5);
    assert!(relative(loss, gradient * 19.0_f64.sqrt()) < 2e-5);
    assert!(plan.loss_event(0).is_none() && without.loss_event(5).is_none());
    let event = Event::subsampled_gaussian(loss, plan.sampling_rate(), 5).unwrap();
    assert_eq!(plan.loss_event(5), Some(event));
    assert_eq!(
        plan.event(),
        Event::subsampled_gaussian(plan.effective_noise_multiplier(), plan.sampling_rate(), 500).unwrap()
    );
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<DpSgdPlan>(&text).unwrap(), plan);
}

#[test]
fn a_batch_is_the_samplers_own_and_the_same_again() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    let seed = SecretSeed::from_bytes([3; 32]);
    let batch = plan.batch(&seed, 7);
    assert_eq!(batch, poisson::sample_batch(&mut seed.stream(Purpose::PoissonSampling, 7), 10_000, 0.0064));
    assert!(batch == plan.batch(&seed, 7) && batch != plan.batch(&seed, 8));
}

/// Noise so small that it shows nothing but the sums themselves.
fn nearly_noiseless(loss: bool) -> DpSgdPlan {
    let loss_noise_multiplier = loss.then_some(0.01);
    let parameters = PlanParameters { expected_batch_size: 4, loss_noise_multiplier, ..request().into() };
    DpSgdPlan::with_noise_multiplier(parameters, 0.01).unwrap()
}

#[test]
fn a_step_releases_the_clipped_sum_over_the_expected_batch_and_its_loss_only_if_it_is_paid_for() {
    let seed = SecretSeed::from_bytes([3; 32]);
    for with_losses in [false, true] {
        let plan = nearly_noiseless(with_losses);
        let mut sum = plan.step(2);
        // Clipped to 0.5: (0.3, 0.4); as it is; and three losses, of which one is beyond the largest.
        sum.add(&[30.0, 40.0], 4.0);
        sum.add(&[0.1, 0.0], f64::INFINITY);
        sum.add(&[f32::NAN, 0.0], -1.0);
        let released = sum.release(&seed, 1);
        assert!(
            (released.gradient[0] - 0.1).abs() < 0.01 && (released.gradient[1] - 0.1).abs() < 0.01,
            "{released:?}"
        );
        let middle = MAX_LOSS / 2.0;
        let expected = middle + ((4.0 - middle) + middle - middle) / 4.0;
        assert_eq!(released.loss.is_some(), with_losses);
        assert!(released.loss.is_none_or(|loss| (loss - expected).abs() < 0.2), "{released:?} {expected}");
    }
}

#[test]
fn a_repeated_step_releases_the_same_again_and_an_empty_batch_is_a_step() {
    let plan = DpSgdPlan::calibrate(PlanRequest { release_losses: true, ..request() }).unwrap();
    let release = |seed, step| plan.step(100).release(&SecretSeed::from_bytes([seed; 32]), step);
    let first = release(1, 5);
    assert_eq!(first, release(1, 5));
    assert!(first.gradient.iter().all(|value| *value != 0.0) && first.loss.is_some());
    let (other_step, other_seed) = (release(1, 6), release(2, 5));
    for other in [other_step, other_seed] {
        assert!(first.gradient.iter().zip(&other.gradient).all(|(a, b)| a != b) && first.loss != other.loss);
    }
}

#[test]
fn a_step_that_is_not_split_has_the_noise_of_the_second_implementation() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    let golden = &golden::rounded_gaussians()[1];
    let seed = SecretSeed::from_bytes(std::array::from_fn(|i| i as u8));
    let released = plan.step(golden.first_draws.len()).release(&seed, 3).gradient;
    let lattice = plan.noise_multiplier() * 0.5 / f64::from(1 << golden.log2_sigma) / 64.0;
    let expected: Vec<f32> =
        golden.first_draws.iter().map(|&draw| (f64::from(draw) * lattice) as f32).collect();
    assert!(expected.len() > 5);
    assert_eq!(released, expected);
}

fn written() -> serde_json::Value {
    json!({
        "records": 100, "expected_batch_size": 10, "steps": 20, "max_grad_norm": 1.0, "noise_multiplier": 1.5,
        "delta": 1e-5, "unit": "json-record", "relation": "add-or-remove-one", "accountant": "rdp",
    })
}

#[test]
fn a_plan_is_read_back_as_it_was_written() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<DpSgdPlan>(&text).unwrap(), plan);
    let plan: DpSgdPlan = serde_json::from_value(written()).unwrap();
    assert_eq!(serde_json::to_value(plan).unwrap(), written());
}

#[test]
fn an_inconsistent_plan_cannot_be_read() {
    for (key, value) in [
        ("records", json!(0)),
        ("records", json!(9)),
        ("records", json!(-1)),
        ("expected_batch_size", json!(0)),
        ("steps", json!(0)),
        ("steps", json!(u64::MAX)),
        ("max_grad_norm", json!(-1.0)),
        ("max_grad_norm", json!(null)),
        ("noise_multiplier", json!(0.0)),
        ("loss_noise_multiplier", json!(0.0)),
        ("delta", json!(0.0)),
        ("delta", json!(1.0)),
        ("unit", json!("page")),
        ("relation", json!("replace-one")),
        ("accountant", json!("guess")),
        ("sampling_rate", json!(0.5)),
    ] {
        let mut plan = written();
        plan[key] = value;
        assert!(serde_json::from_value::<DpSgdPlan>(plan.clone()).is_err(), "{plan}");
    }
    for key in written().as_object().unwrap().keys() {
        let mut plan = written();
        plan.as_object_mut().unwrap().remove(key);
        assert!(serde_json::from_value::<DpSgdPlan>(plan).is_err(), "without {key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn more_noise_never_costs_more(noise in 0.4_f64..8.0, batch in 1_usize..1000, steps in 1_u64..2000) {
        let plan = |noise| {
            let parameters = PlanParameters { expected_batch_size: batch, steps, ..request().into() };
            DpSgdPlan::with_noise_multiplier(parameters, noise).unwrap()
        };
        prop_assert_eq!(plan(noise).noise_multiplier(), noise);
        prop_assert!(plan(noise * 1.05).epsilon() <= plan(noise).epsilon());
    }
}
