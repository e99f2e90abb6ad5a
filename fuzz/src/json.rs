//! The small JSON texts: queue messages, requests, a job's settings, stored entries, the ledger.

use dp::Ledger;
use protocol::api::{
    ApiKeyEntry, CompleteUpload, CreateFile, CreateJob, CreateUpload, FileMeta, ModelIndex, UploadObject,
};
use protocol::hyperparameters::{DpLora, DpLoraRequest};
use protocol::message::SliceMessage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

use crate::check::shown;
use crate::input::choice;
use crate::memory::bounded;

/// The first byte chooses what the rest is read as.
pub fn run(input: &[u8]) {
    let (choice, text) = choice(input);
    match choice % 11 {
        0 => drop(same::<SliceMessage>(text)),
        1 => drop(same::<CreateJob>(text)),
        2 => drop(same::<CreateFile>(text)),
        3 => drop(same::<CreateUpload>(text)),
        4 => drop(same::<CompleteUpload>(text)),
        5 => drop(same::<FileMeta>(text)),
        6 => drop(same::<ModelIndex>(text)),
        7 => drop(same::<ApiKeyEntry>(text)),
        8 => drop(same::<UploadObject>(text)),
        9 => settings(text),
        _ => ledger(text),
    }
}

/// Reads a value and checks that it is read again as it was written.
fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &[u8]) -> Option<T> {
    // serde names what it did not expect in its own words; at the API those are cut, here only memory counts.
    let value: T = bounded(text.len(), || serde_json::from_slice(text).ok())?;
    let written = serde_json::to_vec(&value).expect("plain data is written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written is read"), value);
    Some(value)
}

fn settings(text: &[u8]) {
    let Some(request) = same::<DpLoraRequest>(text) else { return };
    let Some(valid) = shown(request.validate()) else { return };
    let again = DpLoraRequest::from(valid.clone()).validate();
    assert_eq!(again, Ok(valid.clone()), "valid settings stay valid, and the same");
    let written = serde_json::to_vec(&valid).expect("plain data is written");
    assert_eq!(serde_json::from_slice::<DpLora>(&written).expect("what was written is read"), valid);
}

fn ledger(text: &[u8]) {
    let Some(ledger) = same::<Ledger>(text) else { return };
    // Composing is the accountant's work, which grows with what a charge says; a stored ledger has few.
    if ledger.charges().len() <= 1 {
        let spent = bounded(text.len(), || ledger.spent());
        assert!(spent >= 0.0, "an account never owes: {spent}");
    }
}
