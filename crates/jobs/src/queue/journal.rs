//! The file that lets [`LocalQueue`](super::LocalQueue) survive a restart: one JSON record a line, appended as things happen and replayed at
//! the start.
//!
//! A record that was only half written when the process died is the last one and is dropped; it belongs to an operation that never answered.
//! Now and then the file is replaced, in one rename, by one that holds only what is left.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces the file after this many records at least, and not before there are as many as messages: it then stays short, and what replacing
/// it costs is a fixed share of what was written before.
const COMPACT_AFTER: usize = 2000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) body: String,
    /// Unix seconds before which nobody sees it.
    pub(super) visible_at: u64,
    pub(super) receive_count: u32,
    /// True once it was received too often.
    pub(super) dead: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// Numbers below are used up.
    Next(u64),
    /// A message came, or this is what is known of it now.
    Set(u64, Entry),
    /// A message was deleted.
    Remove(u64),
}

/// All messages by number, which rises with the order of sending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    pub(super) next: u64,
    pub(super) entries: BTreeMap<u64, Entry>,
}

impl Messages {
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Next(next) => self.next = self.next.max(next),
            Record::Set(number, entry) => {
                self.next = self.next.max(number + 1);
                self.entries.insert(number, entry);
            }
            Record::Remove(number) => {
                self.entries.remove(&number);
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let entries = self.entries.iter().map(|(number, entry)| Record::Set(*number, entry.clone()));
        std::iter::once(Record::Next(self.next)).chain(entries)
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    appended: usize,
    /// An append failed, so the file may end in half a record.
    torn: bool,
}

impl Journal {
    /// Replays the file, if there is one, and starts a fresh one with what is left.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Messages)> {
        let messages = match std::fs::read(path) {
            Ok(bytes) => replay(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Messages::default(),
            Err(error) => return Err(error),
        };
        let file = write_fresh(path, &messages)?;
        Ok((Self { path: path.to_owned(), file, appended: 0, torn: false }, messages))
    }

    /// Writes `record` so that it survives the end of the process, and a crash of the host if it is a new message. `messages` is the state
    /// before it.
    pub(super) fn append(&mut self, record: &Record, messages: &Messages) -> io::Result<()> {
        if self.torn || self.appended >= COMPACT_AFTER.max(messages.entries.len()) {
            self.file = write_fresh(&self.path, messages)?;
            (self.appended, self.torn) = (0, false);
        }
        self.torn = true;
        self.file.write_all(line(record)?.as_bytes())?;
        // What else may be lost with the host shows a message sooner or once more, which every receiver is made for. Waiting for the disk at each
        // receipt and deletion, too, would make a queue of thousands three times as slow.
        if matches!(record, Record::Set(number, _) if !messages.entries.contains_key(number)) {
            self.file.sync_data()?;
        }
        self.torn = false;
        self.appended += 1;
        Ok(())
    }
}

fn line(record: &Record) -> io::Result<String> {
    Ok(serde_json::to_string(record)? + "\n")
}

fn replay(bytes: &[u8]) -> io::Result<Messages> {
    let mut messages = Messages::default();
    // What follows the last line end was not written to its end.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for (index, text) in bytes[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged =
            || format!("the queue's journal is damaged in line {}; move it away to start empty", index + 1);
        let record = serde_json::from_slice(text);
        messages.apply(record.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, damaged()))?);
    }
    Ok(messages)
}

/// Replaces the file in one rename, so that at every moment a whole one is there.
fn write_fresh(path: &Path, messages: &Messages) -> io::Result<File> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    for record in messages.records() {
        file.write_all(line(&record)?.as_bytes())?;
    }
    file.sync_data()?;
    std::fs::rename(&fresh, path)?;
    Ok(file)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
