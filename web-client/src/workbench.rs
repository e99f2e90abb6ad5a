//! One text on its way through the page: checked, counted, previewed, perturbed.
//!
//! ```text
//! check(bytes) → count_chunk … → preview(ε)* → begin(ε) → perturb_chunk … → finish → bytes to upload
//! ```
//! Long work comes in chunks of some tens of milliseconds, so that a worker can report progress and hear "cancel" in between.

use dp::{Epsilon, PrivacyUnit, SecretSeed, default_delta};
use perturb::text::{self, InputError, MAX_TEXT_BYTES};
use perturb::{Mechanism, NeighbourTable, PerturbError, Perturber, Tokenizer};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;

use crate::consequences::{TextConsequences, TrainingConsequences};
use crate::error::WorkbenchError;
use crate::preview::{PREVIEW_RECORDS, PreviewRecord, preview_record};

/// Tokens that share the high weight. Few keep a sentence's sense better, many hide each token among more likenesses; the
/// command line has the same default.
pub const NEIGHBOURS: u32 = 4;

/// Bytes of text between two reports: tens of milliseconds at the tokenizer's 1–3 MB/s in a browser.
const CHUNK_BYTES: usize = 64 * 1024;

/// The model's tokenizer and table, the text at hand, and the run in progress.
pub struct Workbench {
    tokenizer: Tokenizer,
    table: Option<NeighbourTable>,
    model: String,
    text: Option<Text>,
    run: Option<Run>,
}

struct Text {
    bytes: Vec<u8>,
    unit: PrivacyUnit,
    records: Vec<String>,
    counts: Counts,
}

struct Run {
    perturber: Perturber,
    session: perturb::Session,
    rng: ChaCha20Rng,
}

/// How much text there is, as far as it has been counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records counted so far.
    pub done: usize,
    /// Records in all.
    pub records: usize,
    /// Tokens counted so far.
    pub tokens: usize,
    /// Tokens of the longest record so far.
    pub longest: usize,
}

/// How far the perturbation is, in bytes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes perturbed.
    pub done: usize,
    /// Bytes in all.
    pub total: usize,
}

impl Workbench {
    /// Reads a model's `tokenizer.json` and its neighbour table. Without a table (no bytes) plain randomised response is used.
    ///
    /// # Errors
    /// If either cannot be used, or they do not belong together.
    pub fn new(tokenizer_json: &[u8], neighbours: &[u8], model: String) -> Result<Self, WorkbenchError> {
        let tokenizer = Tokenizer::from_bytes(tokenizer_json)?;
        let table = match neighbours {
            [] => None,
            bytes => Some(NeighbourTable::from_bytes(bytes, tokenizer.domain())?),
        };
        Ok(Self { tokenizer, table, model, text: None, run: None })
    }

    /// Tokens that can be perturbed.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.domain().len()
    }

    /// Takes the file's content, after checking all of it, and forgets any earlier text.
    ///
    /// # Errors
    /// The one thing that is wrong with the file; then there is no text.
    pub fn check(&mut self, bytes: Vec<u8>, unit: &str) -> Result<Counts, WorkbenchError> {
        (self.text, self.run) = (None, None);
        let unit = parse_unit(unit)?;
        let records =
            text::records(text::decode(&bytes)?, unit).map(|record| record.map(|text| text.into_owned()));
        let records: Vec<String> = records.collect::<Result<_, _>>()?;
        if records.is_empty() {
            return Err(InputError::Empty.into());
        }
        let counts = Counts { records: records.len(), ..Counts::default() };
        self.text = Some(Text { bytes, unit, records, counts });
        Ok(counts)
    }

    /// Counts the tokens of the next records. Finished when `done` is `records`.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`].
    pub fn count_chunk(&mut self) -> Result<Counts, WorkbenchError> {
        let text = self.text.as_mut().ok_or(WorkbenchError::NoText)?;
        let counts = &mut text.counts;
        let mut bytes = 0;
        while bytes < CHUNK_BYTES && counts.done < counts.records {
            let record = &text.records[counts.done];
            let tokens = self.tokenizer.encode(record)?.len();
            bytes += record.len();
            counts.done += 1;
            counts.tokens += tokens;
            counts.longest = counts.longest.max(tokens);
        }
        Ok(*counts)
    }

    /// What ε per token means for this model and text.
    ///
    /// # Errors
    /// If ε does not suit the model's vocabulary.
    pub fn text_consequences(&self, epsilon: f64) -> Result<TextConsequences, WorkbenchError> {
        let response = self.mechanism(epsilon)?.response(self.vocabulary() as u32)?;
        Ok(TextConsequences::new(&response, self.text.as_ref().map_or(0, |text| text.counts.longest)))
    }

    /// What ε of training means, with the δ that the service takes for as many records.
    ///
    /// # Errors
    /// If ε is no positive number.
    pub fn training_consequences(&self, epsilon: f64) -> Result<TrainingConsequences, WorkbenchError> {
        let records = self.text.as_ref().map_or(1, |text| text.records.len());
        Ok(TrainingConsequences::new(Epsilon::try_from(epsilon)?, default_delta(records)))
    }

    /// Perturbs the first records, to be shown beside the originals. What is sent later is drawn anew: whoever could look first and
    /// then choose a draw to send would break the guarantee.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`], or if ε does not suit the model.
    pub fn preview(&self, epsilon: f64, seed: &SecretSeed) -> Result<Vec<PreviewRecord>, WorkbenchError> {
        let text = self.text.as_ref().ok_or(WorkbenchError::NoText)?;
        let perturber = self.perturber(epsilon)?;
        let mut rng = seed.stream(dp::Purpose::Perturbation, 0);
        text.records
            .iter()
            .take(PREVIEW_RECORDS)
            .map(|record| preview_record(&perturber, record, &mut rng))
            .collect()
    }

    /// Starts perturbing the whole text with randomness of its own.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`], or if ε does not suit the model.
    pub fn begin(&mut self, epsilon: f64, seed: &SecretSeed) -> Result<(), WorkbenchError> {
        let text = self.text.as_ref().ok_or(WorkbenchError::NoText)?;
        let session = perturb::Session::begin(text.bytes.clone(), text.unit)?;
        let rng = seed.stream(dp::Purpose::Perturbation, 0);
        self.run = Some(Run { perturber: self.perturber(epsilon)?, session, rng });
        Ok(())
    }

    /// Perturbs the next records. Finished when `done` is `total`.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`].
    pub fn perturb_chunk(&mut self) -> Result<Progress, WorkbenchError> {
        let Run { perturber, session, rng } = self.run.as_mut().ok_or(WorkbenchError::NotBegun)?;
        let progress = session.push_chunk(perturber, rng, CHUNK_BYTES)?;
        Ok(Progress { done: progress.bytes_done, total: progress.bytes_total })
    }

    /// Drops the run in progress. The text stays.
    pub fn abandon(&mut self) {
        self.run = None;
    }

    /// The file to upload. Ends the run, so that no draw is ever sent in two forms.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`], or if there is text left to perturb, or the result is too large to be sent.
    pub fn finish(&mut self) -> Result<Vec<u8>, WorkbenchError> {
        let Run { perturber, session, .. } = self.run.take().ok_or(WorkbenchError::NotBegun)?;
        let perturbed = session.finish(&perturber, Some(self.model.clone()))?;
        let bytes = perturbed.to_bytes().map_err(PerturbError::from)?;
        check_upload_size(bytes.len())?;
        Ok(bytes)
    }

    fn mechanism(&self, epsilon: f64) -> Result<Mechanism, WorkbenchError> {
        let epsilon = Epsilon::try_from(epsilon)?;
        Ok(match &self.table {
            Some(table) => Mechanism::SetRr { epsilon, neighbours: NEIGHBOURS.min(table.columns()) },
            None => Mechanism::KRr { epsilon },
        })
    }

    fn perturber(&self, epsilon: f64) -> Result<Perturber, WorkbenchError> {
        Ok(Perturber::new(self.tokenizer.clone(), self.table.clone(), self.mechanism(epsilon)?)?)
    }
}

/// Refuses a file by its size, before it is read into memory.
///
/// # Errors
/// [`InputError::TooLarge`].
pub fn check_size(bytes: usize) -> Result<(), InputError> {
    if bytes > MAX_TEXT_BYTES { Err(InputError::TooLarge { bytes }) } else { Ok(()) }
}

/// Text of rare letters takes more bytes as tokens than as text; the service takes no file above its limit in either form.
fn check_upload_size(bytes: usize) -> Result<(), WorkbenchError> {
    if bytes > MAX_TEXT_BYTES { Err(WorkbenchError::UploadTooLarge { bytes }) } else { Ok(()) }
}

fn parse_unit(unit: &str) -> Result<PrivacyUnit, WorkbenchError> {
    serde_json::from_value(unit.into()).map_err(|_| WorkbenchError::Unit(unit.chars().take(40).collect()))
}

#[cfg(test)]
#[path = "workbench_tests.rs"]
mod tests;
