use proptest::prelude::*;

use super::*;

fn calibrate(epsilon: f64, delta: f64, rate: f64, steps: u64) -> Result<f64, DpError> {
    noise_multiplier(Epsilon::try_from(epsilon).unwrap(), Delta::try_from(delta).unwrap(), rate, steps)
}

#[test]
fn a_known_run_is_found_again() {
    // ε 1.7117701662 belongs to a multiplier of 1.1: see the accountant's golden values.
    let found = calibrate(1.711_771, 1e-5, 0.01, 1000).unwrap();
    assert!((found - 1.1).abs() < 2e-3, "{found}");
}

#[test]
fn arguments_out_of_range_are_named() {
    for rate in [0.0, -0.5, 1.5, f64::INFINITY] {
        assert_eq!(calibrate(1.0, 1e-5, rate, 10), Err(DpError::SamplingRate(rate)));
    }
    assert!(matches!(calibrate(1.0, 1e-5, f64::NAN, 10), Err(DpError::SamplingRate(_))));
    assert_eq!(calibrate(1.0, 1e-5, 0.1, 0), Err(DpError::Steps(0)));
    assert_eq!(calibrate(1.0, 1e-5, 0.1, u64::MAX), Err(DpError::Steps(u64::MAX)));
}

#[test]
fn unreachable_targets_say_what_to_change() {
    let small = calibrate(1e-9, 1e-12, 1.0, 1_000_000).unwrap_err();
    assert!(small.to_string().contains("fewer steps"), "{small}");
    let large = calibrate(1e6, 1e-5, 0.01, 1).unwrap_err();
    assert!(large.to_string().contains("smaller epsilon"), "{large}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_result_spends_the_target_and_no_more(
        epsilon in 0.1_f64..20.0, ln_delta in -18.0_f64..-7.0, ln_rate in -7.0_f64..0.0, ln_steps in 0.0_f64..10.0,
    ) {
        let (delta, rate, steps) = (ln_delta.exp(), ln_rate.exp(), ln_steps.exp() as u64);
        let found = calibrate(epsilon, delta, rate, steps).unwrap();
        let spent = rdp::epsilon(found, rate, steps, Delta::try_from(delta).unwrap());
        prop_assert!(spent <= epsilon && spent > epsilon * (1.0 - RELATIVE_TOLERANCE), "{} for {}", spent, epsilon);
    }
}
