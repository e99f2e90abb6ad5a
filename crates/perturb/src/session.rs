//! Perturbing one file piece by piece, so that a page can show how far it is and stop.
//!
//! ```text
//! begin(file) → push_chunk … push_chunk → finish → PerturbedText
//! ```
//! Dropping the session in between is cancelling: nothing was written.

use dp::PrivacyUnit;
use rand::CryptoRng;

use crate::perturber::{PerturbError, PerturbedText};
use crate::text::{self, Cursor, InputError, Records};
use crate::{Counts, Manifest, Perturber};

/// One file on its way through the channel. Holds the original text, so it never leaves the owner's machine.
pub struct Session {
    text: String,
    unit: PrivacyUnit,
    cursor: Cursor,
    counts: Counts,
    records: Vec<Vec<u32>>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of text that were perturbed.
    pub bytes_done: usize,
    /// Bytes of text in all; never 0.
    pub bytes_total: usize,
    /// Records and tokens so far.
    pub counts: Counts,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text must not reach a log.
        f.debug_struct("Session").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl Session {
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
        Ok(Self {
            text,
            unit,
            cursor: Cursor::default(),
            counts: Counts::default(),
            records: Vec::with_capacity(count),
        })
    }

    /// Perturbs the next records, about `bytes` bytes of text but at least one record, and says how far it is.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn push_chunk(
        &mut self,
        perturber: &Perturber,
        rng: &mut impl CryptoRng,
        bytes: usize,
    ) -> Result<Progress, PerturbError> {
        let stop = self.cursor.bytes.saturating_add(bytes);
        let mut records = Records::resume(&self.text, self.unit, self.cursor);
        let mut chunk = Vec::new();
        while let Some(record) = records.next() {
            chunk.push(record?);
            if records.cursor().bytes >= stop {
                break;
            }
        }
        // Tokenising is nearly all of the work; the draws are made in order, so that a seed gives one result.
        for ids in perturber.tokenizer().encode_all(&chunk)? {
            self.counts.add(ids.len());
            self.records.push(perturber.channel().perturb_tokens(&ids, rng));
        }
        self.cursor = records.cursor();
        Ok(self.progress())
    }

    /// Whether all of the text has been perturbed.
    pub fn is_done(&self) -> bool {
        self.cursor.bytes == self.text.len()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress { bytes_done: self.cursor.bytes, bytes_total: self.text.len(), counts: self.counts }
    }

    /// The perturbed records with their manifest.
    ///
    /// # Errors
    /// [`PerturbError::Unfinished`] while there is text left.
    pub fn finish(self, perturber: &Perturber, model: Option<String>) -> Result<PerturbedText, PerturbError> {
        if !self.is_done() {
            return Err(PerturbError::Unfinished { left: self.text.len() - self.cursor.bytes });
        }
        let manifest = Manifest::new(perturber.channel(), self.unit, self.counts, model);
        Ok(PerturbedText { manifest, records: self.records })
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
