//! A text on its way through one worker of the page: read, previewed, perturbed.
//!
//! ```text
//! split(bytes) → for each worker: check(its piece) → read_chunk …
//!   → numbers, preview, attack → begin(setting) → perturb_chunk … → finish_part → in one worker: join(parts) → bytes to upload
//! ```
//! Long work comes in chunks of some tens of milliseconds, so that a worker can report progress and hear "cancel" in between. A
//! small text has one worker and one part.

use std::sync::Arc;

use dp::{Epsilon, PrivacyUnit, SecretSeed, default_delta};
use perturb::attack::{AttackError, Reader, Report, Trial};
use perturb::language_model::LanguageModel;
use perturb::text::{self, InputError, MAX_TEXT_BYTES};
use perturb::tokens::{self, Part};
use perturb::{
    Encoded, Lexicon, Manifest, NeighbourTable, PerturbError, Perturber, Reading, Run, Tables, Tokenizer,
    Vocabulary,
};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use crate::consequences::{TextConsequences, TrainingConsequences};
use crate::error::WorkbenchError;
use crate::preview::{PREVIEW_RECORDS, PreviewRecord, preview_record};
use crate::setting::Setting;

/// Bytes of text between two reports: tens of milliseconds at the tokenizer's 1–3 MB/s in a browser.
const CHUNK_BYTES: usize = 64 * 1024;

/// Tokens that are attacked: half a width of 6 % at 95 %, in seconds.
const ATTACKED: usize = 300;
/// Tokens between two reports: each takes some milliseconds.
const ATTACK_CHUNK: usize = 4;

/// A vocabulary with its tables, the text at hand, and the run in progress.
pub struct Workbench {
    lexicon: Lexicon,
    tables: Tables,
    model: String,
    perturber: Option<(Setting, Perturber)>,
    text: Option<Text>,
    run: Option<(Run, ChaCha20Rng)>,
    reader: Option<Reader>,
    trial: Option<Trial>,
}

struct Text {
    // The beginning, for the preview.
    records: Vec<String>,
    content: Content,
}

enum Content {
    Reading(Reading),
    Encoded(Encoded),
}

/// How much text there is, as far as it has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read so far.
    pub records: u64,
    /// Tokens or words read so far.
    pub tokens: u64,
    /// Tokens or words of the longest record so far.
    pub longest: u64,
}

impl From<perturb::Counts> for Counts {
    fn from(counts: perturb::Counts) -> Self {
        Self { records: counts.records, tokens: counts.tokens, longest: counts.max_tokens_in_a_record }
    }
}

impl From<Counts> for perturb::Counts {
    fn from(counts: Counts) -> Self {
        Self { records: counts.records, tokens: counts.tokens, max_tokens_in_a_record: counts.longest }
    }
}

/// How far reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReadProgress {
    /// Bytes read.
    pub done: usize,
    /// Bytes in all.
    pub total: usize,
    /// What was read.
    pub counts: Counts,
}

/// How far the perturbation is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Tokens perturbed.
    pub done: u64,
    /// Tokens in all.
    pub total: u64,
}

impl Workbench {
    /// Word pieces of a model: its `tokenizer.json` and its neighbour table. Without a table (no bytes) plain randomised response is used.
    ///
    /// # Errors
    /// If either cannot be used, or they do not belong together.
    pub fn of_tokens(
        tokenizer_json: &[u8],
        neighbours: &[u8],
        model: String,
    ) -> Result<Self, WorkbenchError> {
        let tokenizer = Tokenizer::from_bytes(tokenizer_json)?;
        let table = match neighbours {
            [] => None,
            bytes => Some(NeighbourTable::from_bytes(bytes, tokenizer.domain())?),
        };
        Ok(Self::new(tokenizer.into(), table.into(), model))
    }

    /// Whole words: a vocabulary with its tables.
    ///
    /// # Errors
    /// If one cannot be used, or they do not belong together.
    pub fn of_words(
        vocabulary: &[u8],
        embedding: &[u8],
        neighbours: &[u8],
        model: String,
    ) -> Result<Self, WorkbenchError> {
        let vocabulary = Vocabulary::from_bytes(vocabulary)?;
        let domain = vocabulary.domain();
        let tables = Tables {
            embedding: Some(perturb::Embedding::from_bytes(embedding, domain)?),
            neighbours: Some(NeighbourTable::from_bytes(neighbours, domain)?),
        };
        Ok(Self::new(vocabulary.into(), tables, model))
    }

    fn new(lexicon: Lexicon, tables: Tables, model: String) -> Self {
        Self { lexicon, tables, model, perturber: None, text: None, run: None, reader: None, trial: None }
    }

    /// Items that can be perturbed.
    pub fn vocabulary(&self) -> usize {
        self.lexicon.domain().len()
    }

    /// Takes a file's content, or a piece of it, after checking all of it, and forgets any earlier text.
    ///
    /// # Errors
    /// The one thing that is wrong with the file; then there is no text.
    pub fn check(&mut self, bytes: Vec<u8>, unit: &str) -> Result<(), WorkbenchError> {
        (self.text, self.run, self.trial) = (None, None, None);
        let unit = parse_unit(unit)?;
        let records = text::records(text::decode(&bytes)?, unit);
        let shown = records.take(PREVIEW_RECORDS).map(|record| record.map(|text| text.into_owned()));
        let records = shown.collect::<Result<_, _>>()?;
        self.text = Some(Text { records, content: Content::Reading(Reading::begin(bytes, unit)?) });
        Ok(())
    }

    /// Reads the next records. Finished when `done` is `total`.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`], or what the tokenizer says.
    pub fn read_chunk(&mut self) -> Result<ReadProgress, WorkbenchError> {
        let mut text = self.text.take().ok_or(WorkbenchError::NoText)?;
        let ((done, total), counts) = match text.content {
            Content::Reading(mut reading) => {
                reading.step(&self.lexicon, CHUNK_BYTES)?;
                let state = (reading.bytes(), reading.counts());
                text.content = match reading.is_done() {
                    true => Content::Encoded(reading.finish()?),
                    false => Content::Reading(reading),
                };
                state
            }
            Content::Encoded(ref encoded) => ((1, 1), encoded.counts()),
        };
        self.text = Some(text);
        Ok(ReadProgress { done, total, counts: counts.into() })
    }

    /// What a setting means for a text of these counts, of which this worker has a piece.
    ///
    /// # Errors
    /// If the setting does not suit the vocabulary.
    pub fn text_consequences(
        &mut self,
        setting: Setting,
        counts: Counts,
        seed: &SecretSeed,
    ) -> Result<TextConsequences, WorkbenchError> {
        let channel = self.perturber(setting)?.channel().clone();
        let ids = match self.text.as_ref().map(|text| &text.content) {
            Some(Content::Encoded(encoded)) => encoded.ids(),
            _ => &[],
        };
        let mut rng = seed.stream(dp::Purpose::Perturbation, 0);
        Ok(TextConsequences::new(&channel, counts.into(), ids, &mut rng))
    }

    /// What ε of training means, with the δ that the service takes for as many records.
    ///
    /// # Errors
    /// If ε is no positive number.
    pub fn training_consequences(
        &self,
        epsilon: f64,
        records: u64,
    ) -> Result<TrainingConsequences, WorkbenchError> {
        let records = usize::try_from(records.max(1)).unwrap_or(usize::MAX);
        Ok(TrainingConsequences::new(Epsilon::try_from(epsilon)?, default_delta(records)))
    }

    /// Perturbs the first records, to be shown beside the originals. What is sent later is drawn anew: whoever could look first and
    /// then choose a draw to send would break the guarantee.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`], or if the setting does not suit the vocabulary.
    pub fn preview(
        &mut self,
        setting: Setting,
        seed: &SecretSeed,
    ) -> Result<Vec<PreviewRecord>, WorkbenchError> {
        self.perturber(setting)?;
        let text = self.text.as_ref().ok_or(WorkbenchError::NoText)?;
        let mut rng = seed.stream(dp::Purpose::Perturbation, 0);
        let perturber = self.current()?;
        text.records.iter().map(|record| preview_record(perturber, record, &mut rng)).collect()
    }

    /// Starts perturbing the whole piece with randomness of its own.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`] before all of it was read, or if the setting does not suit the vocabulary.
    pub fn begin(&mut self, setting: Setting, seed: &SecretSeed) -> Result<(), WorkbenchError> {
        self.run = None;
        self.perturber(setting)?;
        let Some(Text { content: Content::Encoded(encoded), .. }) = &self.text else {
            return Err(WorkbenchError::NoText);
        };
        let run = Run::begin(encoded, self.current()?);
        self.run = Some((run, seed.stream(dp::Purpose::Perturbation, 0)));
        Ok(())
    }

    /// Perturbs the next tokens. Finished when `done` is `total`.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`].
    pub fn perturb_chunk(&mut self) -> Result<Progress, WorkbenchError> {
        let (_, perturber) = self.perturber.as_ref().ok_or(WorkbenchError::NotBegun)?;
        let (run, rng) = self.run.as_mut().ok_or(WorkbenchError::NotBegun)?;
        run.step(perturber, rng);
        let (done, total) = run.drawn();
        Ok(Progress { done, total })
    }

    /// Drops the run in progress. The text stays.
    pub fn abandon(&mut self) {
        self.run = None;
    }

    /// This worker's piece, perturbed. Ends the run, so that no draw is ever sent in two forms.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`], or if there is text left to perturb.
    pub fn finish_part(&mut self) -> Result<Part, WorkbenchError> {
        let (run, _) = self.run.take().ok_or(WorkbenchError::NotBegun)?;
        Ok(run.finish_part(self.current()?)?)
    }

    /// The file to upload: the parts of all workers, in the order of the text. The setting must be the one that all began with.
    ///
    /// # Errors
    /// If the parts are none, or the result is too large to be sent.
    pub fn join(&mut self, setting: Setting, unit: &str, parts: &[Part]) -> Result<Vec<u8>, WorkbenchError> {
        let (unit, model) = (parse_unit(unit)?, self.model.clone());
        let perturber = self.perturber(setting)?;
        let mut counts = perturb::Counts::default();
        parts.iter().for_each(|part| counts.merge(part.counts));
        let manifest =
            Manifest::new(perturber.channel(), perturber.lexicon().unit(), unit, counts, Some(model));
        let bytes = tokens::join(&manifest, parts).map_err(PerturbError::from)?;
        check_upload_size(bytes.len())?;
        Ok(bytes)
    }

    /// Takes the language model that attacks are tried with.
    ///
    /// # Errors
    /// If its files cannot be used here; then attacks go without.
    pub fn take_reader(
        &mut self,
        config: &[u8],
        weights: &[u8],
        tokenizer_json: &[u8],
    ) -> Result<(), WorkbenchError> {
        let model = Arc::new(LanguageModel::load(config, weights).map_err(AttackError::from)?);
        self.reader = Some(Reader { model, tokenizer: Tokenizer::from_bytes(tokenizer_json)? });
        Ok(())
    }

    /// Starts attacking a sample of the text, perturbed by draws that are thrown away.
    ///
    /// # Errors
    /// [`WorkbenchError::NoText`], or if the setting does not suit the vocabulary.
    pub fn begin_attack(&mut self, setting: Setting, seed: &SecretSeed) -> Result<(), WorkbenchError> {
        self.trial = None;
        self.perturber(setting)?;
        let Some(Text { content: Content::Encoded(encoded), .. }) = &self.text else {
            return Err(WorkbenchError::NoText);
        };
        let mut rng = seed.stream(dp::Purpose::Perturbation, 0);
        self.trial = Some(Trial::begin(encoded, self.current()?, self.reader.as_ref(), ATTACKED, &mut rng)?);
        Ok(())
    }

    /// Attacks the next tokens. Finished when `done` is `total`.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`], or what the language model says.
    pub fn attack_chunk(&mut self) -> Result<Progress, WorkbenchError> {
        let progress = self.trial.as_mut().ok_or(WorkbenchError::NotBegun)?.step(ATTACK_CHUNK)?;
        Ok(Progress { done: progress.done as u64, total: progress.total as u64 })
    }

    /// What the attacks recovered.
    ///
    /// # Errors
    /// [`WorkbenchError::NotBegun`], or if there is work left.
    pub fn finish_attack(&mut self) -> Result<Report, WorkbenchError> {
        Ok(self.trial.take().ok_or(WorkbenchError::NotBegun)?.finish()?)
    }

    /// The perturber of a setting: made anew only when the setting changed, for its tables may take a while.
    fn perturber(&mut self, setting: Setting) -> Result<&Perturber, WorkbenchError> {
        if self.perturber.as_ref().is_none_or(|(made_for, _)| *made_for != setting) {
            self.perturber = None;
            let mechanism = setting.mechanism(self.vocabulary() as u32, &self.tables)?;
            let perturber = Perturber::new(self.lexicon.clone(), self.tables.clone(), mechanism)?;
            self.perturber = Some((setting, perturber));
        }
        self.current()
    }

    fn current(&self) -> Result<&Perturber, WorkbenchError> {
        self.perturber.as_ref().map(|(_, perturber)| perturber).ok_or(WorkbenchError::NotBegun)
    }
}

/// Where to cut a file into at most `parts` pieces of whole records.
///
/// # Errors
/// The one thing that is wrong with the file.
pub fn split(bytes: &[u8], unit: &str, parts: usize) -> Result<Vec<usize>, WorkbenchError> {
    Ok(text::split(bytes, parse_unit(unit)?, parts)?)
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
