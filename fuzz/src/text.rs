//! An owner's file: plain text or JSONL, cut into records.

use dp::PrivacyUnit;
use perturb::text::{decode, json_records, records, split};
use perturb::{Lexicon, Reading};

use crate::check::shown;
use crate::fixtures::vocabulary;
use crate::input::choice;
use crate::memory::bounded;

/// The first byte chooses unit, pieces and the size of a reader's steps; the rest is the file.
pub fn run(input: &[u8]) {
    let (choice, file) = choice(input);
    let unit = [PrivacyUnit::Line, PrivacyUnit::Paragraph, PrivacyUnit::JsonRecord][usize::from(choice % 3)];
    let whole = bounded(file.len(), || all(file, unit));
    let pieces = usize::from(choice >> 6) + 1;
    let ends = bounded(file.len(), || shown(split(file, unit, pieces)));
    assert_eq!(whole.is_some(), ends.is_some(), "a file is split where it can be read");
    read(file, unit, 1 << (choice >> 4), whole.as_deref());
    let (Some(whole), Some(ends)) = (whole, ends) else { return };
    assert!(ends.len() <= pieces && ends.last() == Some(&file.len()), "{ends:?}");
    if whole.is_empty() {
        return;
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let joined: Option<Vec<Vec<String>>> =
        starts.zip(&ends).map(|(start, &end)| all(&file[start..end], unit)).collect();
    let joined = joined.expect("each piece of a file is a file");
    assert!(joined.iter().all(|piece| !piece.is_empty()), "each piece has records");
    assert_eq!(joined.concat(), whole, "the pieces have the records of the whole");
}

/// All records of a file.
fn all(file: &[u8], unit: PrivacyUnit) -> Option<Vec<String>> {
    let text = shown(decode(file))?;
    let cut = records(text, unit).map(|record| record.map(String::from)).collect::<Result<Vec<_>, _>>();
    if unit == PrivacyUnit::JsonRecord {
        let parsed: Result<Vec<String>, _> =
            json_records(text).map(|record| record.map(|(_, record)| record.text())).collect();
        assert_eq!(parsed, cut, "both readers of JSONL agree");
    }
    let cut = shown(cut)?;
    for record in &cut {
        assert!(!record.trim().is_empty(), "a blank record");
        assert!(unit == PrivacyUnit::JsonRecord || text.contains(record), "a record is a part of the text");
    }
    Some(cut)
}

/// Reads the file in steps, as a page does.
fn read(file: &[u8], unit: PrivacyUnit, step: usize, whole: Option<&[String]>) {
    let reading = bounded(file.len(), || shown(Reading::begin(file.to_vec(), unit)));
    assert_eq!(reading.is_some(), whole.is_some_and(|records| !records.is_empty()));
    let Some(mut reading) = reading else { return };
    let lexicon = Lexicon::from(vocabulary());
    while !reading.is_done() {
        let (before, _) = reading.bytes();
        reading.step(&lexicon, step).expect("a file that was checked can be read");
        assert!(reading.bytes().0 > before, "every step goes on");
    }
    let encoded = reading.finish().expect("all was read");
    let expected: Vec<Vec<u32>> =
        whole.into_iter().flatten().map(|record| vocabulary().encode(record)).collect();
    assert_eq!(encoded.records().map(<[u32]>::to_vec).collect::<Vec<_>>(), expected);
}
