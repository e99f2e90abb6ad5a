//! Whole runs: what they learn, that they repeat bit for bit, and that they can stop and go on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::test_texts::{TOPICS, WORDS, config, corpus, topic_text};
use crate::{Clip, Settings};

fn trainer(settings: Settings, text: &str) -> Trainer {
    let config = config(settings);
    Trainer::new(config.clone(), corpus(text, &config)).unwrap()
}

fn vectors(settings: Settings, text: &str) -> WordVectors {
    let mut trainer = trainer(settings, text);
    trainer.run(&|_| ());
    trainer.into_vectors()
}

/// Mean cosine of words of one topic, less that of words of two.
fn separation(vectors: &WordVectors) -> f64 {
    let cosine = |a: &[f32], b: &[f32]| {
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a * b)).sum::<f64>();
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    };
    let topic = |place: usize| vectors.words[place].as_bytes()[1];
    let (mut same, mut other) = ((0.0, 0.0), (0.0, 0.0));
    for a in 0..vectors.words.len() {
        for b in 0..a {
            let side = if topic(a) == topic(b) { &mut same } else { &mut other };
            *side = (side.0 + cosine(vectors.row(a), vectors.row(b)), side.1 + 1.0);
        }
    }
    same.0 / same.1 - other.0 / other.1
}

#[test]
fn words_of_one_topic_come_together_with_any_threads_and_region() {
    let text = topic_text(3000, false);
    for (threads, clip, dim) in [(1, Clip::Box, 10), (4, Clip::Box, 10), (2, Clip::UnitBall, 10)] {
        let vectors = vectors(Settings { threads, clip, dim, ..Settings::default() }, &text);
        assert_eq!(vectors.words.len(), TOPICS * WORDS);
        let separation = separation(&vectors);
        assert!(separation > 0.4, "{threads} threads, {clip:?}: {separation}");
        let norms = vectors.rows.chunks(dim).map(|row| row.iter().map(|x| x * x).sum::<f32>());
        assert!(clip == Clip::Box || norms.into_iter().all(|norm| norm <= 1.0));
        assert!(vectors.rows.iter().all(|x| x.abs() <= 1.0));
    }
}

/// Negative control: the same words in no order have nothing to learn.
#[test]
fn a_text_without_structure_separates_nothing() {
    let separation = separation(&vectors(Settings::default(), &topic_text(3000, true)));
    assert!(separation.abs() < 0.1, "{separation}");
}

#[test]
fn one_thread_repeats_bit_for_bit_in_any_parts_and_over_checkpoints() {
    let text = topic_text(400, false);
    let config = config(Settings::default());
    let whole = vectors(Settings::default(), &text);
    assert_eq!(whole, vectors(Settings::default(), &text));
    let mut trainer = trainer(Settings::default(), &text);
    let mut parts = 0;
    while !trainer.run_part(777, &|_| ()) {
        parts += 1;
        let checkpoint = trainer.checkpoint();
        trainer = Trainer::resume(config.clone(), corpus(&text, &config), &checkpoint).unwrap();
        assert_eq!(trainer.checkpoint(), checkpoint);
    }
    assert!(parts > 10, "{parts}");
    assert_eq!(trainer.into_vectors(), whole);
    assert_ne!(whole, vectors(Settings { seed: 2, ..Settings::default() }, &text));
}

#[test]
fn a_run_may_go_on_with_other_threads() {
    let text = topic_text(3000, false);
    let mut first = trainer(Settings { threads: 2, ..Settings::default() }, &text);
    first.run_part(30_000, &|_| ());
    let config = config(Settings { threads: 3, ..Settings::default() });
    let mut second = Trainer::resume(config.clone(), corpus(&text, &config), &first.checkpoint()).unwrap();
    assert_eq!(second.progress(), first.progress());
    second.run(&|_| ());
    assert!(second.is_finished());
    assert!(separation(&second.into_vectors()) > 0.4);
}

#[test]
fn progress_reaches_the_total() {
    let text = topic_text(500, false);
    for threads in [1, 3] {
        let mut trainer = trainer(Settings { threads, ..Settings::default() }, &text);
        assert_eq!(trainer.progress(), Progress { words: 0, total: 3 * 5_500 });
        let (largest, calls) = (AtomicU64::new(0), AtomicU64::new(0));
        trainer.run(&|progress| {
            assert_eq!(progress.total, 3 * 5_500);
            largest.fetch_max(progress.words, Ordering::Relaxed);
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!((largest.into_inner(), trainer.progress().words), (16_500, 16_500));
        assert!(calls.into_inner() > 1);
    }
}

#[test]
fn every_width_trains() {
    let text = topic_text(300, false);
    for dim in [1, 16, 17, 33, 65, 129, 257, 512] {
        let config = Config::new(Settings { dim, sample: 0.0, epochs: 1, ..Settings::default() }).unwrap();
        let mut trainer = Trainer::new(config.clone(), corpus(&text, &config)).unwrap();
        trainer.run(&|_| ());
        let vectors = trainer.into_vectors();
        assert_eq!(vectors.rows.len(), vectors.words.len() * dim);
        assert!(vectors.rows.iter().all(|x| x.is_finite()) && vectors.rows.iter().any(|&x| x != 0.0));
    }
}

#[test]
fn runs_that_the_clock_cannot_count_are_refused() {
    let config = config(Settings { step_words: 16, min_count: 1, ..Settings::default() });
    let config = Config::new(Settings { epochs: u32::MAX, ..config.into() }).unwrap();
    let result = Trainer::new(config.clone(), corpus(&topic_text(10, false), &config));
    assert!(matches!(result, Err(Word2VecError::TooLong { words: 110, epochs: u32::MAX })));
}
