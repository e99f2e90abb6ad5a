//! Text in, perturbed tokens out: what the command line and the page call.

use std::ops::ControlFlow;

use dp::PrivacyUnit;
use rand::CryptoRng;

use crate::text::{self, InputError, JsonRecord};
use crate::tokens::{self, Payload, TokensError};
use crate::{
    Channel, ChannelError, Counts, Lexicon, Manifest, Mechanism, Reading, Run, Tables, TokenizerError,
};

/// Bytes of text between two reports of progress: some tens of milliseconds of work in a browser.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why text could not be perturbed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PerturbError {
    /// The file cannot be taken.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The result cannot be written.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The caller said stop.
    #[error("perturbing was cancelled, and nothing was kept")]
    Cancelled,
    /// Not all of the text has been perturbed.
    #[error("the text is not yet perturbed: go on before finishing")]
    Unfinished,
}

/// The way from text to items, and a channel over them.
#[derive(Debug, Clone)]
pub struct Perturber {
    lexicon: Lexicon,
    channel: Channel,
}

/// Perturbed records with their manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct PerturbedText {
    /// The channel and the counts.
    pub manifest: Manifest,
    /// The records.
    pub records: Payload,
}

impl PerturbedText {
    /// The file to upload: see [`tokens`].
    ///
    /// # Errors
    /// A [`TokensError`] if the public fields were changed so that they no longer belong together.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TokensError> {
        tokens::write(&self.manifest, &self.records)
    }
}

/// One record before and after, token by token, to be shown side by side on the owner's machine. Never leaves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Text of each original token.
    pub original: Vec<String>,
    /// Text of each perturbed token; as many.
    pub perturbed: Vec<String>,
    /// Ids of the original tokens.
    pub original_ids: Vec<u32>,
    /// Ids of the perturbed tokens.
    pub perturbed_ids: Vec<u32>,
    /// The perturbed record as one text.
    pub perturbed_text: String,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The original must not reach a log.
        f.debug_struct("Preview").field("tokens", &self.original_ids.len()).finish_non_exhaustive()
    }
}

impl Perturber {
    /// Puts a tokenizer or vocabulary, its tables and a mechanism together.
    ///
    /// # Errors
    /// A [`ChannelError`] if they do not belong together.
    pub fn new(
        lexicon: impl Into<Lexicon>,
        tables: impl Into<Tables>,
        mechanism: Mechanism,
    ) -> Result<Self, ChannelError> {
        let lexicon = lexicon.into();
        let channel = Channel::new(mechanism, lexicon.domain().clone(), tables)?;
        Ok(Self { lexicon, channel })
    }

    /// The tokenizer or vocabulary.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The channel, with its probabilities and ε.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Perturbs one record.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn perturb_record(&self, record: &str, rng: &mut impl CryptoRng) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.channel.perturb_tokens(&self.lexicon.encode(record)?, rng))
    }

    /// Perturbs texts together, which is cheaper than one after another; each comes back as text.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn perturb_texts(
        &self,
        texts: &[impl AsRef<str> + Sync],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<String>, TokenizerError> {
        let encoded = self.lexicon.encode_all(texts)?;
        let perturbed = self.channel.perturb_tokens(&encoded.concat(), rng);
        let mut rest = &perturbed[..];
        let next = |ids: &Vec<u32>| {
            let (text, others) = rest.split_at(ids.len());
            rest = others;
            self.decode(text)
        };
        Ok(encoded.iter().map(next).collect())
    }

    /// Perturbs a JSONL file and keeps its shape: only values that hold text are perturbed, and only they and the shape are kept.
    ///
    /// # Errors
    /// An [`InputError`] before any work, or what the tokenizer says.
    pub fn perturb_jsonl(
        &self,
        bytes: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<JsonRecord>, PerturbError> {
        let lines = text::decode(bytes)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let mut records: Vec<JsonRecord> =
            lines.map(|(index, line)| JsonRecord::parse(line, index + 1)).collect::<Result<_, _>>()?;
        let values: Vec<&mut String> = records.iter_mut().flat_map(JsonRecord::values_mut).collect();
        let perturbed = self.perturb_texts(&values, rng)?;
        values.into_iter().zip(perturbed).for_each(|(value, perturbed)| *value = perturbed);
        Ok(records)
    }

    /// Perturbs records one after another; `progress` hears the counts so far after each, and may stop the work.
    ///
    /// # Errors
    /// [`PerturbError::Cancelled`], or what the tokenizer says.
    pub fn perturb_records<'a>(
        &self,
        records: impl Iterator<Item = &'a str>,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(Counts) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, PerturbError> {
        let mut counts = Counts::default();
        let mut perturbed = Vec::new();
        for record in records {
            let ids = self.perturb_record(record, rng)?;
            counts.add(ids.len());
            perturbed.push(ids);
            if progress(counts).is_break() {
                return Err(PerturbError::Cancelled);
            }
        }
        Ok(perturbed)
    }

    /// Perturbs a whole file in one call; `progress` hears how far it is, from 0 to 1, and may stop the work.
    ///
    /// # Errors
    /// An [`InputError`] before any work, [`PerturbError::Cancelled`], or what the tokenizer says.
    pub fn perturb_text(
        &self,
        bytes: Vec<u8>,
        unit: PrivacyUnit,
        model: Option<String>,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(f64) -> ControlFlow<()>,
    ) -> Result<PerturbedText, PerturbError> {
        let mut reading = Reading::begin(bytes, unit)?;
        // Reading and drawing count as a half each.
        let share = |(done, all): (f64, f64)| if all > 0.0 { done / all / 2.0 } else { 0.5 };
        while !reading.is_done() {
            reading.step(&self.lexicon, CHUNK_BYTES)?;
            let (done, all) = reading.bytes();
            if progress(share((done as f64, all as f64))).is_break() {
                return Err(PerturbError::Cancelled);
            }
        }
        let mut run = Run::begin(&reading.finish()?, self);
        while !run.is_done() {
            run.step(self, rng);
            let (done, all) = run.drawn();
            if progress(0.5 + share((done as f64, all as f64))).is_break() {
                return Err(PerturbError::Cancelled);
            }
        }
        run.finish(self, model)
    }

    /// Perturbs one record to show it beside the original. Each call draws anew and spends the record's ε again if its output
    /// leaves the machine; it is meant for the owner's eyes.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn preview(&self, record: &str, rng: &mut impl CryptoRng) -> Result<Preview, TokenizerError> {
        let original_ids = self.lexicon.encode(record)?;
        let perturbed_ids = self.channel.perturb_tokens(&original_ids, rng);
        let texts = |ids: &[u32]| ids.iter().map(|&id| self.lexicon.item_text(id)).collect();
        Ok(Preview {
            original: texts(&original_ids),
            perturbed: texts(&perturbed_ids),
            perturbed_text: self.lexicon.decode(&perturbed_ids),
            original_ids,
            perturbed_ids,
        })
    }

    /// The text of perturbed ids; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.lexicon.decode(ids)
    }
}

#[cfg(test)]
#[path = "perturber_tests.rs"]
mod tests;
