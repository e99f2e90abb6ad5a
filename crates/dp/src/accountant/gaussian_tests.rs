use proptest::prelude::*;

use super::*;

fn delta_of(value: f64) -> Delta {
    Delta::try_from(value).unwrap()
}

fn rows() -> Vec<[f64; 3]> {
    serde_json::from_str(include_str!("../../goldens/gaussian.json")).unwrap()
}

/// Within the rounding up that the module promises, for δ times `factor`.
fn matches_goldens(factor: f64) -> bool {
    rows().into_iter().all(|[sigma, epsilon, expected]| {
        let excess = delta(sigma, epsilon) * factor / expected - 1.0;
        (0.0..2e-9).contains(&excess)
    })
}

#[test]
fn delta_equals_the_formula_by_multiprecision() {
    assert!(rows().len() >= 30);
    for [sigma, epsilon, expected] in rows() {
        let excess = delta(sigma, epsilon) / expected - 1.0;
        assert!((0.0..2e-9).contains(&excess), "{sigma} {epsilon}: {excess:e}");
    }
    assert!(matches_goldens(1.0));
}

#[test]
fn control_a_millionth_off_is_seen() {
    assert!(!matches_goldens(1.0 + 1e-6) && !matches_goldens(1.0 - 1e-6));
}

#[test]
fn epsilon_is_the_least_that_delta_allows() {
    for [sigma, expected, delta] in rows().into_iter().filter(|row| row[2] < 1.0) {
        let epsilon = epsilon(sigma, delta_of(delta));
        // At tiny ε a part in 10⁹ of δ is more than that of ε.
        assert!(epsilon >= expected * (1.0 - 1e-9), "{sigma} {delta}: {epsilon} below {expected}");
        assert!(
            epsilon <= expected * (1.0 + 1e-7) + 1e-7 / sigma,
            "{sigma} {delta}: {epsilon} above {expected}"
        );
    }
}

#[test]
fn epsilon_of_the_old_nearest_word_mechanism() {
    // Fifty dimensions in [−1, 1] with noise of 0.1: sensitivity 2·√50. About 10,602 at δ = 1e-5.
    let epsilon = epsilon(0.1 / (2.0 * 50.0_f64.sqrt()), delta_of(1e-5));
    assert!((epsilon - 10_602.0).abs() < 1.0, "{epsilon}");
}

#[test]
fn a_large_delta_needs_no_epsilon() {
    // δ(0) = 2Φ(1/2σ) − 1 ≈ 0.0399 for σ = 10.
    assert_eq!(epsilon(10.0, delta_of(0.04)), 0.0);
    assert!(epsilon(10.0, delta_of(0.0398)) > 0.0);
}

#[test]
fn an_argument_out_of_range_is_no_privacy() {
    for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(delta(noise, 1.0), 1.0);
        assert_eq!(epsilon(noise, delta_of(1e-5)), f64::INFINITY);
    }
    for epsilon in [-1.0, f64::NAN] {
        assert_eq!(delta(1.0, epsilon), 1.0);
    }
    assert_eq!(delta(1.0, f64::INFINITY), 0.0);
}

proptest! {
    #[test]
    fn delta_falls_with_epsilon_and_noise(ln_sigma in -4.0_f64..10.0, epsilon in 0.0_f64..50.0) {
        let (sigma, slack) = (ln_sigma.exp(), 1.0 + 1e-8);
        let base = delta(sigma, epsilon);
        prop_assert!((0.0..=1.0).contains(&base));
        prop_assert!(delta(sigma, epsilon * 1.01 + 1e-6) <= base * slack);
        prop_assert!(delta(sigma * 1.01, epsilon) <= base * slack);
    }

    #[test]
    fn delta_of_epsilon_is_within_the_delta_asked_for(ln_sigma in -4.0_f64..6.0, ln_delta in -200.0_f64..-1.0) {
        let (sigma, target) = (ln_sigma.exp(), ln_delta.exp());
        let epsilon = epsilon(sigma, delta_of(target));
        prop_assert!(delta(sigma, epsilon) <= target);
        if epsilon > 0.0 {
            prop_assert!(delta(sigma, epsilon * (1.0 - 1e-6)) > target);
        }
    }
}
