use proptest::prelude::*;

use super::*;

fn delta_of(value: f64) -> Delta {
    Delta::try_from(value).unwrap()
}

fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("../../goldens/rdp.json")).unwrap()
}

fn rows(key: &str) -> Vec<Vec<f64>> {
    serde_json::from_value(golden()[key].clone()).unwrap()
}

fn relative_error(actual: f64, expected: f64) -> f64 {
    (actual / expected - 1.0).abs()
}

#[test]
fn rdp_equals_the_integral_by_multiprecision() {
    for row in rows("rdp") {
        let error = relative_error(rdp_subsampled_gaussian(row[0], row[1], row[2]), row[3]);
        assert!(error < 1e-11, "{row:?}: {error}");
    }
}

#[test]
fn epsilon_is_at_most_a_thousandth_above_the_best_real_order_and_never_below() {
    for row in rows("epsilon") {
        let epsilon = epsilon(row[0], row[1], row[2] as u64, delta_of(row[3]));
        assert!(epsilon >= row[4] && epsilon < row[4] * 1.001, "{row:?}: {epsilon}");
    }
}

#[test]
fn epsilon_equals_published_values() {
    // MNIST-sized runs that TensorFlow Privacy publishes for its Rényi accountant: 60,000 records in batches of 150 for 15
    // epochs, and 100,000 in batches of 100 for 30.
    for (noise, rate, steps, delta, published) in [
        (1.3, 150.0 / 60_000.0, 6_000, 1e-5, 0.724_223_402_610_959_5),
        (1.0, 100.0 / 100_000.0, 30_000, 1e-7, 1.415_498_849_544_484_5),
    ] {
        assert!(relative_error(epsilon(noise, rate, steps, delta_of(delta)), published) < 1e-8);
    }
}

#[test]
fn the_two_ways_to_compute_an_integer_order_agree() {
    for q in [1e-7, 1e-3, 0.2, 0.99] {
        for sigma in [0.15, 0.7, 1.0, 5.0, 60.0] {
            for alpha in [2.0, 3.0, 17.0, 64.0, 256.0] {
                let (sum, integral) = (binomial(q, sigma, alpha), quadrature(q, sigma, alpha));
                assert!(
                    (sum - integral).abs() < 1e-10 * sum.abs().max(1.0),
                    "{q} {sigma} {alpha}: {sum} {integral}"
                );
            }
        }
    }
}

#[test]
fn sampling_everything_is_the_plain_gaussian_mechanism() {
    for (sigma, alpha) in [(0.5, 1.5), (1.0, 2.0), (3.0, 31.0)] {
        assert_eq!(rdp_subsampled_gaussian(1.0, sigma, alpha), alpha / (2.0 * sigma * sigma));
        let near = rdp_subsampled_gaussian(1.0 - 1e-12, sigma, alpha);
        assert!(relative_error(near, alpha / (2.0 * sigma * sigma)) < 1e-9);
    }
}

#[test]
fn arguments_out_of_range_never_look_private() {
    for (q, sigma, alpha) in [
        (0.1, 0.0, 2.0),
        (0.1, -1.0, 2.0),
        (0.1, f64::NAN, 2.0),
        (0.1, f64::INFINITY, 2.0),
        (-0.1, 1.0, 2.0),
        (1.1, 1.0, 2.0),
        (f64::NAN, 1.0, 2.0),
        (0.1, 1.0, 1.0),
        (0.1, 1.0, 0.5),
        (0.1, 1.0, f64::INFINITY),
    ] {
        assert_eq!(rdp_subsampled_gaussian(q, sigma, alpha), f64::INFINITY);
    }
    assert_eq!(epsilon(0.0, 0.1, 1, delta_of(1e-5)), f64::INFINITY);
    assert_eq!(delta(0.0, 0.1, 1, Epsilon::try_from(1.0).unwrap()), 1.0);
}

#[test]
fn no_step_costs_nothing() {
    assert_eq!(epsilon(1.0, 0.1, 0, delta_of(1e-5)), 0.0);
    assert_eq!(delta(1.0, 0.1, 0, Epsilon::try_from(1.0).unwrap()), 0.0);
    assert_eq!(rdp_subsampled_gaussian(0.0, 1.0, 2.0), 0.0);
}

#[test]
fn epsilon_stays_above_the_exact_value_of_the_plain_gaussian_mechanism() {
    // Balle & Wang (2018), Theorem 8: δ(ε) = Φ(1/2σ − εσ) − e^ε Φ(−1/2σ − εσ).
    use crate::test_statistics::normal_cumulative;
    for sigma in [0.5, 1.0, 4.0] {
        for target in [1e-3, 1e-5, 1e-8] {
            let bound = epsilon(sigma, 1.0, 1, delta_of(target));
            let half = 0.5 / sigma;
            let exact = normal_cumulative(half - bound * sigma)
                - bound.exp() * normal_cumulative(-half - bound * sigma);
            assert!(exact <= target && exact > target / 100.0, "{sigma} {target}: {exact}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn epsilon_falls_with_noise_and_delta_and_rises_with_rate_and_steps(
        noise in 0.3_f64..10.0, rate in 1e-5_f64..1.0, steps in 1_u64..100_000, ln_delta in -18.0_f64..-4.0,
    ) {
        let at = |noise, rate: f64, steps, ln_delta: f64| epsilon(noise, rate.min(1.0), steps, delta_of(ln_delta.exp()));
        let base = at(noise, rate, steps, ln_delta);
        prop_assert!(base.is_finite() && base >= 0.0);
        prop_assert!(at(noise * 1.1, rate, steps, ln_delta) <= base);
        prop_assert!(at(noise, rate * 1.1, steps, ln_delta) >= base);
        prop_assert!(at(noise, rate, steps + 1, ln_delta) >= base);
        prop_assert!(at(noise, rate, steps, ln_delta + 0.1) <= base);
    }

    #[test]
    fn delta_at_the_epsilon_of_a_delta_is_that_delta(
        noise in 0.5_f64..5.0, rate in 1e-3_f64..1.0, steps in 1_u64..10_000, ln_delta in -18.0_f64..-4.0,
    ) {
        let curve = RdpCurve::new(noise, rate);
        let epsilon = curve.epsilon(steps, delta_of(ln_delta.exp()));
        prop_assume!(epsilon > 0.0);
        let back = curve.delta(steps, Epsilon::try_from(epsilon).unwrap());
        prop_assert!(relative_error(back, ln_delta.exp()) < 1e-4, "{} {}", back, ln_delta.exp());
    }

    #[test]
    fn rdp_rises_with_the_order_and_is_never_below_the_second_order_bound(
        q in 1e-6_f64..0.999, sigma in 0.2_f64..20.0, alpha in 1.01_f64..100.0,
    ) {
        let rdp = rdp_subsampled_gaussian(q, sigma, alpha);
        prop_assert!(rdp > 0.0 && rdp <= alpha / (2.0 * sigma * sigma) * (1.0 + 1e-9));
        prop_assert!(rdp_subsampled_gaussian(q, sigma, alpha * 1.01) >= rdp * (1.0 - 1e-11));
    }
}

/// Found by a training test: a plan with σ = 1e-9 integrated over 10¹⁸ points.
#[test]
fn regression_a_tiny_sigma_is_answered_at_once_and_never_errs_low() {
    assert_eq!(rdp_subsampled_gaussian(0.01, 1e-9, 1.5), f64::INFINITY);
    assert!(epsilon(1e-9, 0.01, 1, crate::Delta::try_from(1e-5).unwrap()) > 1e6);
}
