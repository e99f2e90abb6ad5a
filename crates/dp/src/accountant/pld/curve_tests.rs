use proptest::prelude::*;

use super::*;

const TILT: f64 = 1.7;

/// A composition of made-up masses on lines −2, −1, …: (P-mass of each).
fn composition(masses: &[f64]) -> Composition {
    let step = 0.25;
    let tilted = |(index, mass): (usize, &f64)| mass * libm::exp(TILT * (index as f64 - 2.0) * step - 0.6);
    let masses = masses.iter().enumerate().map(tilted).collect();
    Composition { step, first: -2, masses, tilt: TILT, ln_mgf: 0.6, beyond: 0.0 }
}

/// δ(ε), by its definition.
fn hockey_stick(masses: &[f64], epsilon: f64) -> f64 {
    let term = |(index, mass): (usize, &f64)| {
        let loss = (index as f64 - 2.0) * 0.25;
        mass * (1.0 - (epsilon - loss).exp()).max(0.0)
    };
    masses.iter().enumerate().map(term).sum()
}

#[test]
fn beyond_the_top_there_is_nothing() {
    let composition = composition(&[0.5, 0.25, 0.25]);
    assert_eq!(composition.delta(0.0), 0.0);
    assert_eq!(composition.delta(7.0), 0.0);
    assert!(composition.delta(-0.01) > 0.0);
}

#[test]
fn an_epsilon_below_the_window_is_its_lower_end() {
    let composition = composition(&[0.1, 0.1]);
    assert_eq!(composition.epsilon(0.0, 0.5).epsilon, -0.5);
    assert_eq!(composition.low(), -0.5);
}

#[test]
fn the_hazard_of_an_exponential_tail_is_its_rate() {
    // P(L > y) = e^−3y: E[e^(ε − L); L > ε] = 3/4 of that at ε, and the density 3 of it.
    let masses: Vec<f64> = (0..4000).map(|line| libm::exp(-0.003 * f64::from(line))).collect();
    let ln_mgf = 0.0;
    let composition = Composition { step: 1e-3, first: 0, masses, tilt: 0.0, ln_mgf, beyond: 0.0 };
    let found = composition.epsilon(0.0, composition.delta(1.0));
    assert!((found.epsilon - 1.0).abs() < 1e-9, "{found:?}");
    assert!((found.hazard - 4.0).abs() < 0.06, "{found:?}");
}

proptest! {
    #[test]
    fn delta_is_the_sum_and_epsilon_its_inverse(
        masses in prop::collection::vec(0.0_f64..1.0, 3..40), place in 0.0_f64..1.0, ln_scale in -5.0_f64..5.0,
    ) {
        let composition = composition(&masses);
        let (low, high) = (composition.low(), (masses.len() as f64 - 3.0) * 0.25);
        let epsilon = low + place * (high - low);
        let expected = hockey_stick(&masses, epsilon);
        let delta = composition.delta(epsilon);
        prop_assert!((delta - expected).abs() <= 1e-12 * expected.max(1e-3), "{} {}", delta, expected);
        prop_assume!(expected > 1e-6 && place > 0.0);
        let found = composition.epsilon(ln_scale, expected * libm::exp(-ln_scale)).epsilon;
        prop_assert!((found - epsilon).abs() < 1e-7, "{} {}", found, epsilon);
    }
}
