use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn guesses(canaries: usize, made: usize, correct: usize) -> Guesses {
    Guesses { canaries, made, correct }
}

fn rows(key: &str) -> Vec<Vec<f64>> {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../goldens/bound.json")).unwrap();
    serde_json::from_value(golden[key].clone()).unwrap()
}

#[test]
fn p_values_equal_those_of_another_library() {
    for row in rows("p_value") {
        let [canaries, made, correct] = [0, 1, 2].map(|i| row[i] as usize);
        let found = p_value(guesses(canaries, made, correct), row[3], row[4]);
        assert!((found / row[5] - 1.0).abs() < 2e-9, "{row:?}: {found}");
        assert!(found >= row[5] || row[5] == 1.0, "{row:?}: {found} errs low");
    }
}

#[test]
fn bounds_equal_those_of_another_library_and_never_exceed_them() {
    for row in rows("bound") {
        let [canaries, made, correct] = [0, 1, 2].map(|i| row[i] as usize);
        let found = epsilon_lower_bound(guesses(canaries, made, correct), row[3], row[4]);
        assert!(found <= row[5] && found > row[5] - 1e-6, "{row:?}: {found}");
    }
}

#[test]
fn the_worked_example_of_the_paper_comes_out() {
    // Appendix D of arXiv:2305.08846: 75 of 100 guesses among 1,000 canaries at δ = 1e-4 and 95 %.
    let bound = epsilon_lower_bound(guesses(1000, 100, 75), 1e-4, 0.05);
    assert!((bound - 0.673).abs() < 5e-4, "{bound}");
}

/// P[number of right guesses = v] for v = 0 … r, by going through all 2^r outcomes.
fn enumerated(made: usize, q: f64) -> Vec<f64> {
    let mut law = vec![0.0; made + 1];
    for outcome in 0u32..1 << made {
        let right = outcome.count_ones();
        law[right as usize] += q.powi(right as i32) * (1.0 - q).powi(made as i32 - right as i32);
    }
    law
}

#[test]
fn small_cases_equal_enumeration() {
    for made in 0..=10 {
        for epsilon in [0.0f64, 0.3, 1.0, 4.0] {
            let law = enumerated(made, 1.0 / (1.0 + (-epsilon).exp()));
            for correct in 0..=made {
                let tail: f64 = law[correct..].iter().sum();
                let shares = (1..=correct).map(|i| law[correct - i..correct].iter().sum::<f64>() / i as f64);
                let expected = (tail + 2.0 * 15.0 * 0.01 * shares.fold(0.0, f64::max)).min(1.0);
                let found = p_value(guesses(15, made, correct), epsilon, 0.01);
                assert!(
                    (found - expected).abs() < 1e-8,
                    "{correct} of {made} at {epsilon}: {found}, {expected}"
                );
            }
        }
    }
}

/// Right guesses against randomised response: each coin shown truly with probability e^ε / (1 + e^ε), or with probability δ for
/// certain. It is (ε, δ)-DP for each coin, and pure guessing of what is shown is the best attack.
fn attack_randomized_response(rng: &mut ChaCha20Rng, canaries: usize, epsilon: f64, delta: f64) -> Guesses {
    let mut happens = |probability: f64| ((rng.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64;
    let truth = 1.0 / (1.0 + (-epsilon).exp());
    let correct = (0..canaries).filter(|_| happens(delta) || happens(truth)).count();
    guesses(canaries, canaries, correct)
}

#[test]
fn the_bound_of_randomized_response_is_tight_and_rarely_above() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    for (epsilon, delta) in [(0.5, 0.0), (2.0, 0.0), (3.0, 1e-5), (1.0, 1e-4)] {
        let runs = 300;
        let bounds: Vec<f64> = (0..runs)
            .map(|_| {
                epsilon_lower_bound(attack_randomized_response(&mut rng, 1000, epsilon, delta), delta, 0.05)
            })
            .collect();
        let above = bounds.iter().filter(|bound| **bound > epsilon).count();
        // At most 5 % of 300 on average; 29 or more have a chance of 1e-3.
        assert!(above < 29, "{above} of {runs} bounds lie above ε = {epsilon}");
        let mean = bounds.iter().sum::<f64>() / runs as f64;
        assert!(mean > 0.75 * epsilon, "bounds of {mean} on average tell little about ε = {epsilon}");
        // Negative control: the same runs under a claim of half their ε are caught nearly always.
        let caught = bounds.iter().filter(|bound| **bound > 0.5 * epsilon).count();
        assert!(caught > runs * 9 / 10, "{caught} of {runs} at ε = {epsilon}");
    }
}

#[test]
fn without_the_correction_for_delta_the_bound_would_be_wrong() {
    // A δ of 0.02 shows one coin in fifty: 100 guesses on those alone are all right, and rule nothing out at this δ.
    let all_right = guesses(5000, 100, 100);
    assert_eq!(epsilon_lower_bound(all_right, 0.02, 0.05), 0.0);
    assert!(epsilon_lower_bound(all_right, 0.0, 0.05) > 3.0);
}

#[test]
fn contradictory_input_is_never_evidence() {
    for bad in [guesses(10, 11, 5), guesses(10, 5, 6), guesses(0, 0, 1)] {
        assert_eq!(p_value(bad, 1.0, 1e-5), 1.0);
        assert_eq!(epsilon_lower_bound(bad, 1e-5, 0.05), 0.0);
    }
    let good = guesses(1000, 1000, 1000);
    for (epsilon, delta) in
        [(-1.0, 0.0), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, -0.1), (1.0, f64::NAN), (1.0, 1.1)]
    {
        assert_eq!(p_value(good, epsilon, delta), 1.0, "{epsilon} {delta}");
    }
    assert_eq!(p_value(guesses(0, 0, 0), 0.0, 0.5), 1.0);
}

#[test]
fn ten_thousand_canaries_neither_underflow_nor_take_long() {
    let bound = largest_bound(10_000, 1e-6, 0.05);
    // All right: q^n = 0.05 where δ is small, so ε ≈ ln(n / −ln 0.05).
    let expected = (10_000.0f64 / 20.0f64.ln()).ln();
    assert!((bound - expected).abs() < 0.1, "{bound} {expected}");
    assert!(p_value(guesses(10_000, 10_000, 9_999), 0.0, 0.0) < 1e-300);
}

proptest! {
    #[test]
    fn the_p_value_is_a_probability_that_falls_with_more_right_guesses(
        made in 1usize..300, extra in 0usize..300, epsilon in 0.0f64..6.0, delta in 0.0f64..1e-3,
    ) {
        let p = |correct| p_value(guesses(made + extra, made, correct), epsilon, delta);
        for correct in [made / 2, made - 1] {
            prop_assert!((0.0..=1.0).contains(&p(correct)));
        }
        prop_assert!(p(0) == 1.0);
        prop_assert!(delta > 0.0 || p(made) <= p(made - 1));
    }

    #[test]
    fn the_bound_is_rejected_and_a_little_more_is_not(
        made in 20usize..400, wrong in 0usize..40, delta in 0.0f64..1e-4,
    ) {
        let found = guesses(2 * made, made, made - wrong.min(made / 2));
        let bound = epsilon_lower_bound(found, delta, 0.01);
        prop_assert!(bound == 0.0 || p_value(found, bound, delta) < 0.01);
        prop_assert!(p_value(found, bound + 1e-6, delta) >= 0.01);
    }

    #[test]
    fn more_evidence_raises_the_bound_and_more_delta_or_confidence_lowers_it(
        made in 50usize..400, wrong in 1usize..20, delta in 0.0f64..1e-4,
    ) {
        let bound = |correct, delta, level| epsilon_lower_bound(guesses(500, made, correct), delta, level);
        let base = bound(made - wrong, delta, 0.05);
        prop_assert!(bound(made - wrong + 1, delta, 0.05) >= base);
        prop_assert!(bound(made - wrong, delta + 1e-4, 0.05) <= base);
        prop_assert!(bound(made - wrong, delta, 0.01) <= base);
    }
}
