use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr, vector_mechanisms, word_perturber};

const COUNTS: Counts = Counts { records: 3, tokens: 100, max_tokens_in_a_record: 50 };

fn numbers(mechanism: Mechanism) -> Numbers {
    let perturber = word_perturber(mechanism);
    let sample: Vec<u32> = (1..30).collect();
    Numbers::new(perturber.channel(), COUNTS, &sample, &mut rng(3))
}

#[test]
fn two_level_numbers_are_exact() {
    let perturber = perturber(set_rr(4.0, 8));
    let numbers = Numbers::new(perturber.channel(), COUNTS, &[], &mut rng(3));
    let total = 8.0 * 4.0_f64.exp() + 254.0;
    assert!((numbers.survival - 4.0_f64.exp() / total).abs() < 1e-9 && !numbers.measured);
    assert_eq!(numbers.changed, 1.0 - numbers.survival);
    assert_eq!((numbers.epsilon_per_token, numbers.delta, numbers.classical_epsilon), (4.0, None, None));
    assert!(
        (numbers.epsilon_of_longest_record - 200.0).abs() < 1e-9
            && (numbers.epsilon_of_document - 400.0).abs() < 1e-9
    );
    // Eight with weight e⁴ and 254 with weight 1: the entropy of the output by its definition.
    let entropy = |p: f64, count: f64| -count * p * p.ln();
    let expected = (entropy(4.0_f64.exp() / total, 8.0) + entropy(1.0 / total, 254.0)).exp();
    assert!(matches!(numbers.plausible, Plausible::Originals(size) if (size / expected - 1.0).abs() < 1e-9));
}

#[test]
fn measured_numbers_follow_the_noise() {
    let epsilon = |e: f64| Mechanism::Exponential { epsilon: e.try_into().unwrap() };
    let (strong, weak) = (numbers(epsilon(0.01)), numbers(epsilon(44.0)));
    assert!(strong.measured && strong.survival < 0.1 && weak.survival > 0.95, "{strong:?} {weak:?}");
    let size = |numbers: Numbers| match numbers.plausible {
        Plausible::OutputsInAHundred(size) => size,
        Plausible::Originals(_) => panic!("measured"),
    };
    // A hundred draws of 33 equally likely words leave 1.5 of them out.
    assert!(size(strong) > 28.0 && size(weak) < 3.0);
}

#[test]
fn the_original_setting_has_both_its_formula_and_the_exact_value() {
    let Mechanism::Gaussian { standard_deviation, delta, region } = original_setting() else {
        panic!("Gaussian")
    };
    assert_eq!((standard_deviation, delta.get(), region), (0.1, 1e-5, Region::Box));
    // In the fixture's eight dimensions; fifty are in `mechanism_tests`.
    let numbers = numbers(original_setting());
    assert!((numbers.classical_epsilon.unwrap() - 96.9).abs() < 0.05);
    assert!(numbers.epsilon_per_token > 1500.0 && numbers.delta == Some(1e-5));
    assert!(numbers.epsilon_of_longest_record > numbers.epsilon_per_token);
    let sentences = numbers.sentences("word").join("\n");
    assert!(
        sentences.contains("96.9") && sentences.contains("delta = 1e-5") && sentences.contains("measured"),
        "{sentences}"
    );
}

#[test]
fn every_mechanism_has_numbers_even_without_a_text() {
    for mechanism in [vec![k_rr(2.0)], vector_mechanisms().to_vec()].concat() {
        let perturber = word_perturber(mechanism);
        let numbers = Numbers::new(perturber.channel(), Counts::default(), &[], &mut rng(1));
        assert_eq!(numbers.epsilon_of_document, 0.0);
        assert!((0.0..=1.0).contains(&numbers.survival));
        assert_eq!(numbers.sentences("token").len(), if numbers.classical_epsilon.is_some() { 4 } else { 3 });
    }
}
