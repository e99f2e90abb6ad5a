use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request() -> PlanRequest {
    PlanRequest {
        records: 10_000,
        expected_batch_size: 64,
        steps: 500,
        max_grad_norm: 0.5,
        target_epsilon: Epsilon::try_from(4.0).unwrap(),
        delta: Delta::try_from(1e-6).unwrap(),
        unit: PrivacyUnit::Paragraph,
    }
}

#[test]
fn a_calibrated_plan_spends_its_target_and_keeps_its_settings() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    assert!(plan.epsilon() <= 4.0 && plan.epsilon() > 3.996);
    assert_eq!((plan.records(), plan.expected_batch_size(), plan.steps()), (10_000, 64, 500));
    assert_eq!(plan.sampling_rate(), 0.0064);
    assert_eq!((plan.max_grad_norm(), plan.delta().get(), plan.unit()), (0.5, 1e-6, PrivacyUnit::Paragraph));
    assert_eq!(plan.noise_standard_deviation(), plan.noise_multiplier() * 0.5);
    assert_eq!((plan.relation(), plan.accountant()), (NeighboringRelation::AddOrRemoveOne, Accountant::Rdp));
}

#[test]
fn epsilon_grows_from_zero_step_by_step() {
    let plan = DpSgdPlan::calibrate(request()).unwrap();
    assert_eq!(plan.epsilon_after(0), 0.0);
    let spent: Vec<f64> = (0..=500).step_by(50).map(|steps| plan.epsilon_after(steps)).collect();
    assert!(spent.windows(2).all(|pair| pair[0] < pair[1]), "{spent:?}");
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
            let PlanRequest { records, max_grad_norm, delta, unit, .. } = request();
            let parameters = PlanParameters { records, expected_batch_size: batch, steps, max_grad_norm, delta, unit };
            DpSgdPlan::with_noise_multiplier(parameters, noise).unwrap()
        };
        prop_assert_eq!(plan(noise).noise_multiplier(), noise);
        prop_assert!(plan(noise * 1.05).epsilon() <= plan(noise).epsilon());
    }
}
