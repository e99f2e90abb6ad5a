use super::*;
use proptest::prelude::*;

/// What k-ary randomised response over `words` words means for a text whose longest record has `longest`.
fn seen(words: u64, epsilon: f64, longest: u64) -> TextConsequences {
    let vocabulary = perturb::Vocabulary::new((1..words).map(|n| (n.to_string(), 1)), 0).unwrap();
    let mechanism = perturb::Mechanism::KRr { epsilon: epsilon.try_into().unwrap() };
    let channel = Channel::new(mechanism, vocabulary.domain().clone(), None).unwrap();
    let counts = Counts { records: 1, tokens: longest, max_tokens_in_a_record: longest };
    let mut rng = dp::SecretSeed::from_bytes([1; 32]).stream(dp::Purpose::Perturbation, 0);
    TextConsequences::new(&channel, counts, &[], &mut rng)
}

/// hi / lo = e^ε; V = 4, m = 1, ε = ln 3: kept with 3 / 6, any other of three with 1 / 6 each.
#[test]
fn a_case_small_enough_for_mental_arithmetic() {
    let seen = seen(4, 3.0_f64.ln(), 10);
    let expected = [
        (seen.kept, 0.5),
        (seen.near, 0.0),
        (seen.far, 0.5),
        (seen.best_guess.unwrap(), 0.5),
        (seen.odds, 3.0),
    ];
    for (value, expected) in expected {
        assert!((value - expected).abs() < 1e-9, "{value} should be {expected}");
    }
    assert!((seen.worst_record - 10.0 * 3.0_f64.ln()).abs() < 1e-12);
    // ½·ln 2 + 3 · ⅙·ln 6 = ln 2√3
    assert!((seen.originals.unwrap() - 2.0 * 3.0_f64.sqrt()).abs() < 1e-9);
}

#[test]
fn without_text_there_is_no_worst_record() {
    assert_eq!(seen(100, 6.0, 0).worst_record, 0.0);
}

#[test]
fn training_accuracy_has_known_values() {
    let accuracy = |epsilon: f64, delta: f64| {
        TrainingConsequences::new(epsilon.try_into().unwrap(), delta.try_into().unwrap()).accuracy
    };
    assert!((accuracy(3.0_f64.ln(), 1e-12) - 0.75).abs() < 1e-9);
    assert!((accuracy(1e-9, 1e-12) - 0.5).abs() < 1e-9, "no privacy loss leaves a coin toss");
    assert!((accuracy(3.0_f64.ln(), 0.5) - 0.875).abs() < 1e-9, "(3 + 0.5) / 4");
    assert_eq!(accuracy(5000.0, 1e-6), 1.0, "a huge ε must not overflow");
}

#[test]
fn the_page_reads_these_names() {
    let text = serde_json::to_value(seen(100, 6.0, 1)).unwrap();
    for name in
        ["epsilon", "kept", "near", "far", "bestGuess", "originals", "odds", "worstRecord", "document"]
    {
        assert!(text[name].is_number(), "{name} is missing");
    }
    for name in ["delta", "classicalEpsilon", "outputs", "measured"] {
        assert!(text.get(name).is_some(), "{name} is missing");
    }
}

proptest! {
    #[test]
    fn shares_add_up_and_no_guess_beats_the_odds(words in 4_u64..400, epsilon in 0.1_f64..14.0) {
        let seen = seen(words, epsilon, 7);
        prop_assert!((seen.kept + seen.near + seen.far - 1.0).abs() < 1e-9);
        prop_assert!(seen.near >= 0.0 && seen.far >= 0.0);
        // From a uniform prior the odds 1 : V − 1 may grow by e^ε at most.
        let bound = epsilon.exp() / (epsilon.exp() + words as f64 - 1.0);
        prop_assert!(seen.best_guess.unwrap() <= bound * (1.0 + 1e-9));
        prop_assert!(seen.originals.unwrap() >= 1.0 - 1e-9 && seen.originals.unwrap() <= words as f64 * (1.0 + 1e-9));
    }

    #[test]
    fn training_accuracy_grows_with_either_parameter(epsilon in 0.01_f64..15.0, delta in 1e-9_f64..1e-3) {
        let at = |e: f64, d: f64| TrainingConsequences::new(e.try_into().unwrap(), d.try_into().unwrap()).accuracy;
        prop_assert!((0.5..=1.0).contains(&at(epsilon, delta)));
        prop_assert!(at(epsilon + 0.1, delta) > at(epsilon, delta));
        prop_assert!(at(epsilon, delta * 2.0) >= at(epsilon, delta));
    }
}
