use super::*;
use crate::test_fixtures::tokenizer;

const TEXT: &str = "one\n\ntwo two\nhello world\n\n\n";

fn begin() -> Reading {
    Reading::begin(TEXT.into(), PrivacyUnit::Line).unwrap()
}

#[test]
fn each_step_moves_on_by_at_least_a_record() {
    let lexicon = tokenizer().into();
    let mut reading = begin();
    reading.step(&lexicon, 0).unwrap();
    assert_eq!((reading.bytes(), reading.counts().records), ((4, TEXT.len()), 1));
    reading.step(&lexicon, 2).unwrap();
    assert_eq!(reading.counts().records, 2);
    assert!(!reading.is_done());
    reading.step(&lexicon, usize::MAX).unwrap();
    assert!(reading.is_done());
    reading.step(&lexicon, 1).unwrap();
    assert_eq!(reading.counts().records, 3);
}

#[test]
fn ids_are_those_of_each_record_whatever_the_steps() {
    let lexicon = Lexicon::from(tokenizer());
    let lines: Vec<Vec<u32>> =
        TEXT.lines().filter(|line| !line.is_empty()).map(|line| lexicon.encode(line).unwrap()).collect();
    for bytes in [0, 5, usize::MAX] {
        let mut reading = begin();
        while !reading.is_done() {
            reading.step(&lexicon, bytes).unwrap();
        }
        let encoded = reading.finish().unwrap();
        assert_eq!(encoded.records().collect::<Vec<_>>(), lines);
        assert_eq!(
            (encoded.ids().len() as u64, encoded.unit()),
            (encoded.counts().tokens, PrivacyUnit::Line)
        );
    }
}

#[test]
fn only_a_finished_reading_gives_ids() {
    let mut reading = begin();
    reading.step(&tokenizer().into(), 1).unwrap();
    assert_eq!(reading.finish(), Err(PerturbError::Unfinished));
}

#[test]
fn what_is_wrong_in_the_last_record_is_said_at_the_beginning() {
    let text = "{\"text\":\"a\"}\n{\"text\":\"b\"}\nnonsense";
    let error = Reading::begin(text.into(), PrivacyUnit::JsonRecord).unwrap_err();
    assert_eq!(error, InputError::Json { line: 3, column: 2 });
    let blank = Reading::begin("{\"text\":\" \"}".into(), PrivacyUnit::JsonRecord).unwrap_err();
    assert_eq!(blank, InputError::Empty);
}

#[test]
fn debug_does_not_show_the_text() {
    let shown = format!("{:?}", begin());
    assert!(shown.starts_with("Reading") && !shown.contains("hello"), "{shown}");
    let mut reading = begin();
    reading.step(&tokenizer().into(), usize::MAX).unwrap();
    let encoded = reading.finish().unwrap();
    assert!(!format!("{encoded:?}").contains(&encoded.ids()[0].to_string()));
}
