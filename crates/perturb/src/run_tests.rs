use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr, vector_mechanisms, word_perturber};
use crate::{Reading, text, tokens};

fn encoded(text: &[u8], perturber: &Perturber) -> Encoded {
    let mut reading = Reading::begin(text.to_vec(), PrivacyUnit::Line).unwrap();
    while !reading.is_done() {
        reading.step(perturber.lexicon(), usize::MAX).unwrap();
    }
    reading.finish().unwrap()
}

fn run(encoded: &Encoded, perturber: &Perturber, seed: u8) -> Run {
    let mut run = Run::begin(encoded, perturber);
    let mut rng = rng(seed);
    while !run.is_done() {
        run.step(perturber, &mut rng);
    }
    run
}

#[test]
fn only_a_finished_run_gives_a_result() {
    let perturber = perturber(k_rr(3.0));
    let encoded = encoded(b"one\ntwo", &perturber);
    let begun = Run::begin(&encoded, &perturber);
    assert_eq!(begun.drawn(), (0, encoded.counts().tokens));
    assert_eq!(begun.finish(&perturber, None), Err(PerturbError::Unfinished));
    assert!(run(&encoded, &perturber, 1).finish(&perturber, None).is_ok());
}

#[test]
fn every_run_draws_anew_from_the_originals() {
    let perturber = perturber(k_rr(0.5));
    let encoded = encoded(&b"hello world or so\n".repeat(20), &perturber);
    let result = |seed| run(&encoded, &perturber, seed).finish(&perturber, None).unwrap();
    assert_eq!(result(1), result(1));
    assert_ne!(result(1), result(2));
}

#[test]
fn debug_does_not_show_ids() {
    let perturber = perturber(k_rr(3.0));
    let shown = format!("{:?}", Run::begin(&encoded(b"hello", &perturber), &perturber));
    assert!(!shown.contains("ids"), "{shown}");
}

#[test]
fn parts_join_to_the_file_of_the_whole() {
    let text = "hello world\n\nof the two\nin 42\nzebra\n".repeat(3);
    for mechanism in [vec![set_rr(3.0, 4)], vector_mechanisms().to_vec()].concat() {
        let perturber = word_perturber(mechanism);
        let ends = text::split(text.as_bytes(), PrivacyUnit::Line, 3).unwrap();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts: Vec<Part> = starts
            .zip(&ends)
            .map(|(start, end)| encoded(&text.as_bytes()[start..*end], &perturber))
            .map(|encoded| run(&encoded, &perturber, 5).finish_part(&perturber).unwrap())
            .collect();
        let mut counts = Counts::default();
        parts.iter().for_each(|part| counts.merge(part.counts));
        let whole = encoded(text.as_bytes(), &perturber);
        assert_eq!((parts.len(), counts), (3, whole.counts()));
        let manifest =
            Manifest::new(perturber.channel(), perturber.lexicon().unit(), PrivacyUnit::Line, counts, None);
        let (read, records) = tokens::read(&tokens::join(&manifest, &parts).unwrap()).unwrap();
        assert_eq!((read, records.counts()), (manifest.clone(), counts));
        // A part missing, or one that was damaged on its way.
        assert!(tokens::join(&manifest, &parts[1..]).is_err());
        let mut damaged = parts;
        damaged[1].body.pop();
        assert!(tokens::join(&manifest, &damaged).is_err());
    }
}

proptest! {
    #[test]
    fn counts_merge_as_if_counted_together(a in prop::collection::vec(0_usize..9, 0..5), b in prop::collection::vec(0_usize..9, 0..5)) {
        let count = |lengths: &[usize]| {
            let mut counts = Counts::default();
            lengths.iter().for_each(|&length| counts.add(length));
            counts
        };
        let mut merged = count(&a);
        merged.merge(count(&b));
        prop_assert_eq!(merged, count(&[a, b].concat()));
    }
}
