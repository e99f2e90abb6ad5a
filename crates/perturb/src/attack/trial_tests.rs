use dp::PrivacyUnit;

use super::*;
use crate::Mechanism;
use crate::language_model::fixtures::TinyModel;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr, tokenizer, vector_mechanisms, word_perturber};

const TEXT: &str = "hello world in two\nto be of the at\nhello hello world\n";

fn encoded(perturber: &Perturber) -> Encoded {
    let mut reading = crate::Reading::begin(TEXT.into(), PrivacyUnit::Line).unwrap();
    while !reading.is_done() {
        reading.step(perturber.lexicon(), usize::MAX).unwrap();
    }
    reading.finish().unwrap()
}

fn reader() -> Reader {
    Reader { model: Arc::new(TinyModel::new(264).load()), tokenizer: tokenizer() }
}

fn run(perturber: &Perturber, reader: Option<&Reader>, tokens: usize) -> Report {
    let mut trial = Trial::begin(&encoded(perturber), perturber, reader, tokens, &mut rng(5)).unwrap();
    loop {
        let progress = trial.step(3).unwrap();
        if progress.done == progress.total {
            return trial.finish().unwrap();
        }
    }
}

#[test]
fn every_mechanism_is_attacked_over_words_and_over_tokens() {
    let words = [vec![set_rr(3.0, 4), k_rr(3.0)], vector_mechanisms().to_vec()].concat();
    for (perturber, items) in words
        .into_iter()
        .map(|mechanism| (word_perturber(mechanism), 12))
        .chain([(perturber(set_rr(3.0, 4)), 24), (perturber(k_rr(3.0)), 24)])
    {
        let without = run(&perturber, None, 1000);
        let with = run(&perturber, Some(&reader()), 1000);
        for report in [&without, &with] {
            assert_eq!(report.records, 3);
            assert!(report.tokens >= items, "{report:?}");
            assert!(report.without_context.hits <= report.tokens);
        }
        assert!(without.with_context.is_none() && with.with_context.is_some());
        assert_eq!(without.unchanged.hits, with.unchanged.hits, "the same draws");
    }
}

#[test]
fn what_is_hardly_perturbed_is_recovered_and_what_is_lost_is_not() {
    let share = |epsilon: f64| run(&word_perturber(k_rr(epsilon)), Some(&reader()), 1000);
    let kept = share(34.0);
    assert_eq!(
        (kept.unchanged.hits, kept.without_context.hits, kept.with_context.unwrap().hits),
        (12, 12, 12)
    );
    let lost = share(0.01);
    assert!(lost.unchanged.hits < 4 && lost.most_recovered().hits < 7, "{lost:?}");
}

#[test]
fn the_sample_is_bounded() {
    let report = run(&word_perturber(k_rr(3.0)), Some(&reader()), 5);
    assert_eq!(report.tokens, 5);
}

#[test]
fn a_model_of_another_tokenizer_is_refused() {
    let small = Reader { model: Arc::new(TinyModel::new(100).load()), tokenizer: tokenizer() };
    let perturber = perturber(Mechanism::KRr { epsilon: 3.0.try_into().unwrap() });
    let refused = Trial::begin(&encoded(&perturber), &perturber, Some(&small), 10, &mut rng(1));
    assert!(matches!(refused, Err(AttackError::Model(_))), "{refused:?}");
}
