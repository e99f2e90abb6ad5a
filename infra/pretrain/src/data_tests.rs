use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::tokenizer;

fn stream(length: usize) -> Vec<u16> {
    (0..length).map(|i| (i % 60_000) as u16).collect()
}

#[test]
fn targets_are_inputs_moved_by_one() {
    let stream = stream(1000);
    let mut windows = Windows::new(&stream, 16, 3).unwrap();
    for index in 0..200 {
        let (inputs, targets) = windows.get(index);
        assert_eq!((inputs.len(), targets.len()), (16, 16));
        assert!(inputs.iter().zip(targets).all(|(i, t)| t - i == 1));
    }
}

proptest! {
    #[test]
    fn an_epoch_shows_each_window_once(length in 1_usize..40, extra in 1_usize..500, seed: u64) {
        let stream = stream(2 * length + extra);
        let mut windows = Windows::new(&stream, length, seed).unwrap();
        let count = windows.per_epoch();
        prop_assert!(count >= 1 && count >= stream.len() / length - 2);
        for epoch in 0..3 {
            let starts: HashSet<u16> =
                (0..count as u64).map(|i| windows.get(epoch * count as u64 + i).0[0]).collect();
            prop_assert_eq!(starts.len(), count);
        }
    }

    #[test]
    fn a_resumed_run_reads_the_same_windows(seed: u64, index in 0_u64..10_000) {
        let stream = stream(700);
        let mut from_start = Windows::new(&stream, 32, seed).unwrap();
        for i in 0..index.min(50) {
            from_start.get(i);
        }
        prop_assert_eq!(from_start.get(index), Windows::new(&stream, 32, seed).unwrap().get(index));
    }
}

#[test]
fn epochs_differ_in_order() {
    let stream = stream(5000);
    let mut windows = Windows::new(&stream, 10, 1).unwrap();
    let count = windows.per_epoch() as u64;
    let order: Vec<Vec<u16>> =
        (0..2).map(|e| (0..count).map(|i| windows.get(e * count + i).0[0]).collect()).collect();
    assert_ne!(order[0], order[1]);
}

#[test]
fn a_short_stream_is_refused() {
    assert!(Windows::new(&stream(64), 32, 1).is_err());
}

#[test]
fn one_document_in_a_hundred_is_held_out_uncopied() {
    let texts: Vec<String> = (0..200).map(|i| format!("number {i} of many")).collect();
    let tokenizer = tokenizer::train(texts.iter().map(String::as_str), 270).unwrap();
    let documents: Vec<Document> = texts.into_iter().map(|text| Document { text, copies: 2 }).collect();
    let streams = tokenise(&tokenizer, &documents, 7).unwrap();
    let separators = |stream: &[u16]| stream.iter().filter(|id| **id == END_OF_TEXT_ID).count();
    assert_eq!((separators(&streams.train), separators(&streams.held_out)), (198 * 2, 2));
    assert_eq!(streams.train[0], END_OF_TEXT_ID);
    let held_out: Vec<u32> = streams.held_out.iter().map(|id| u32::from(*id)).collect();
    let text = tokenizer.decode(&held_out, true).unwrap();
    assert!(text.contains("number 99 of many") && text.contains("number 199 of many"), "{text}");
}
