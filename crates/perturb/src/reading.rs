//! A file as ids, read piece by piece, so that a page can show how far it is and stop.
//!
//! ```text
//! Reading: begin(file) → step … step → finish → Encoded        Run: begin(Encoded) → step … step → finish → PerturbedText
//! ```
//! First all of the text is turned into ids, then all ids pass the channel ([`Run`](crate::Run)): some mechanisms are a hundred times
//! faster when they see all places of an id together, and a second run needs no second reading. Dropping either in between is
//! cancelling: nothing was written.

use dp::PrivacyUnit;

use crate::perturber::PerturbError;
use crate::text::{self, Cursor, InputError, Records};
use crate::{Counts, Lexicon};

/// One file on its way to ids. Holds the original text, so it never leaves the owner's machine.
pub struct Reading {
    text: String,
    unit: PrivacyUnit,
    cursor: Cursor,
    encoded: Encoded,
}

/// A text as ids of a lexicon: the original, so it never leaves the owner's machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    pub(crate) unit: PrivacyUnit,
    // Ids of all records, one after another, and how many each has.
    pub(crate) ids: Vec<u32>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) counts: Counts,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text must not reach a log.
        f.debug_struct("Reading").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Reading {
    /// Takes a file and checks all of it, so that what is wrong in its last record is said before any work.
    ///
    /// # Errors
    /// An [`InputError`] that says what to do.
    pub fn begin(bytes: Vec<u8>, unit: PrivacyUnit) -> Result<Self, InputError> {
        let text = text::decode(&bytes)?.to_owned();
        let mut count = 0_usize;
        for record in text::records(&text, unit) {
            record?;
            count += 1;
        }
        if count == 0 {
            return Err(InputError::Empty);
        }
        let lengths = Vec::with_capacity(count);
        let encoded = Encoded { unit, ids: Vec::new(), lengths, counts: Counts::default() };
        Ok(Self { text, unit, cursor: Cursor::default(), encoded })
    }

    /// Turns the next records into ids: about `bytes` bytes of text, but at least one record.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn step(&mut self, lexicon: &Lexicon, bytes: usize) -> Result<(), PerturbError> {
        let stop = self.cursor.bytes.saturating_add(bytes);
        let mut records = Records::resume(&self.text, self.unit, self.cursor);
        let mut chunk = Vec::new();
        while let Some(record) = records.next() {
            chunk.push(record?);
            if records.cursor().bytes >= stop {
                break;
            }
        }
        let cursor = records.cursor();
        for ids in lexicon.encode_all(&chunk)? {
            self.encoded.counts.add(ids.len());
            self.encoded.lengths.push(ids.len() as u32);
            self.encoded.ids.extend(ids);
        }
        self.cursor = cursor;
        Ok(())
    }

    /// Bytes of text that were read, and bytes in all, which are never 0.
    pub fn bytes(&self) -> (usize, usize) {
        (self.cursor.bytes, self.text.len())
    }

    /// Records and ids so far.
    pub fn counts(&self) -> Counts {
        self.encoded.counts
    }

    /// Whether all of the text was read.
    pub fn is_done(&self) -> bool {
        self.cursor.bytes == self.text.len()
    }

    /// All ids.
    ///
    /// # Errors
    /// [`PerturbError::Unfinished`] while there is text left.
    pub fn finish(self) -> Result<Encoded, PerturbError> {
        if self.is_done() { Ok(self.encoded) } else { Err(PerturbError::Unfinished) }
    }
}

impl Encoded {
    /// Records and ids.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What one record is.
    pub fn unit(&self) -> PrivacyUnit {
        self.unit
    }

    /// Ids of all records, one after another.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The ids of each record.
    pub fn records(&self) -> impl Iterator<Item = &[u32]> {
        cut(&self.ids, &self.lengths)
    }
}

/// Cuts `ids` into pieces of the given lengths.
pub(crate) fn cut<'a>(ids: &'a [u32], lengths: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    let mut rest = ids;
    lengths.iter().map(move |&length| {
        let (record, others) = rest.split_at(length as usize);
        rest = others;
        record
    })
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
