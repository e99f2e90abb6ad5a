use proptest::prelude::*;

use super::*;

fn target(value: f64) -> Epsilon {
    Epsilon::try_from(value).unwrap()
}

fn delta_of(value: f64) -> Delta {
    Delta::try_from(value).unwrap()
}

fn calibrate(epsilon: f64, delta: f64, rate: f64, steps: u64) -> Result<f64, DpError> {
    noise_multiplier(target(epsilon), delta_of(delta), rate, steps)
}

fn spent(noise: f64, rate: f64, steps: u64, delta: f64) -> f64 {
    pld::epsilon(&[Event::subsampled_gaussian(noise, rate, steps).unwrap()], delta_of(delta))
}

fn is_in_band(spent: f64, target: f64) -> bool {
    spent <= target && spent > target * (1.0 - RELATIVE_TOLERANCE)
}

#[test]
fn a_known_run_is_found_again() {
    // ε 1.515362 belongs to a multiplier of 1.1, by the contour integral of goldens/pld.py.
    let found = calibrate(1.515_362, 1e-5, 0.01, 1000).unwrap();
    assert!((found - 1.1).abs() < 1e-3, "{found}");
    let rate = sampling_rate(target(1.515_362), delta_of(1e-5), 1.1, 1000).unwrap();
    assert!((rate - 0.01).abs() < 2e-5, "{rate}");
    let count = steps(target(1.515_362), delta_of(1e-5), 1.1, 0.01).unwrap();
    assert!(count.abs_diff(1000) <= 3, "{count}");
}

#[test]
fn control_the_band_refuses_what_lies_outside() {
    assert!(is_in_band(7.995, 8.0) && !is_in_band(8.000_001, 8.0) && !is_in_band(7.99, 8.0));
}

#[test]
fn one_step_more_is_too_many() {
    for (epsilon, noise, rate) in [(2.0, 1.0, 0.01), (0.5, 3.0, 0.2), (1.0, 0.8, 0.001), (9.0, 0.6, 1.0)] {
        let count = steps(target(epsilon), delta_of(1e-6), noise, rate).unwrap();
        assert!(spent(noise, rate, count, 1e-6) <= epsilon, "{count}");
        assert!(spent(noise, rate, count + 1, 1e-6) > epsilon, "{count}");
    }
}

#[test]
fn arguments_out_of_range_are_named() {
    let (epsilon, delta) = (target(1.0), delta_of(1e-5));
    for rate in [0.0, -0.5, 1.5, f64::INFINITY] {
        assert_eq!(calibrate(1.0, 1e-5, rate, 10), Err(DpError::SamplingRate(rate)));
        assert_eq!(steps(epsilon, delta, 1.0, rate), Err(DpError::SamplingRate(rate)));
    }
    assert!(matches!(calibrate(1.0, 1e-5, f64::NAN, 10), Err(DpError::SamplingRate(_))));
    for noise in [0.0, -1.0, f64::INFINITY] {
        assert_eq!(steps(epsilon, delta, noise, 0.1), Err(DpError::NoiseMultiplier(noise)));
        assert_eq!(sampling_rate(epsilon, delta, noise, 10), Err(DpError::NoiseMultiplier(noise)));
    }
    for count in [0, u64::MAX] {
        assert_eq!(calibrate(1.0, 1e-5, 0.1, count), Err(DpError::Steps(count)));
        assert_eq!(sampling_rate(epsilon, delta, 1.0, count), Err(DpError::Steps(count)));
    }
}

#[test]
fn unreachable_targets_say_what_to_change() {
    let small = calibrate(1e-9, 1e-12, 1.0, 1_000_000).unwrap_err();
    assert!(small.to_string().contains("fewer steps"), "{small}");
    let large = calibrate(1e6, 1e-5, 0.01, 1).unwrap_err();
    assert!(large.to_string().contains("smaller epsilon"), "{large}");
    let one_is_too_many = steps(target(0.01), delta_of(1e-5), 0.5, 0.5).unwrap_err();
    assert!(matches!(one_is_too_many, DpError::TargetTooSmall { steps: 1, .. }), "{one_is_too_many}");
    // No noise to speak of, and a δ below the least chance to be sampled at all.
    let no_rate = sampling_rate(target(1e-6), delta_of(1e-12), 0.06, 1).unwrap_err();
    assert!(matches!(no_rate, DpError::TargetTooSmall { sampling_rate: MIN_SAMPLING_RATE, .. }), "{no_rate}");
}

#[test]
fn a_target_that_everything_meets_gives_the_whole_range() {
    assert_eq!(sampling_rate(target(5.0), delta_of(1e-5), 50.0, 10), Ok(1.0));
    assert_eq!(steps(target(5.0), delta_of(1e-5), 1e5, 1e-4), Ok(MAX_STEPS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_noise_spends_the_target_and_no_more(
        epsilon in 0.1_f64..20.0, ln_delta in -18.0_f64..-7.0, ln_rate in -7.0_f64..0.0, ln_steps in 0.0_f64..10.0,
    ) {
        let (delta, rate, steps) = (ln_delta.exp(), ln_rate.exp(), ln_steps.exp() as u64);
        let found = calibrate(epsilon, delta, rate, steps).unwrap();
        let spent = spent(found, rate, steps, delta);
        prop_assert!(is_in_band(spent, epsilon), "{} for {}", spent, epsilon);
    }

    #[test]
    fn the_sampling_rate_spends_the_target_and_no_more(
        epsilon in 0.2_f64..8.0, noise in 0.5_f64..4.0, ln_steps in 0.0_f64..9.0,
    ) {
        let steps = ln_steps.exp() as u64;
        let found = sampling_rate(target(epsilon), delta_of(1e-6), noise, steps).unwrap();
        let spent = spent(noise, found, steps, 1e-6);
        prop_assert!(is_in_band(spent, epsilon) || (found == 1.0 && spent <= epsilon), "{} for {}", spent, epsilon);
    }
}
