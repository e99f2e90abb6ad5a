//! The owner's records as token sequences.
//!
//! A record is one privacy unit. It becomes `[bos] tokens [eos]`; if that is longer than `max_length`, it is split into
//! chunks that overlap by one token, so that every token but the first is predicted exactly once. At most `max_chunks`
//! chunks are kept, which bounds the work one record can cause; the tokens beyond are counted.
//!
//! Of a chat only some tokens are to be learned: a [`Chunk`] says which of its targets count. Chunks without any are left
//! out before the limit, for they would teach nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use dp::PrivacyUnit;
use perturb::{ChannelUnit, Manifest, Tokenizer};
use sha2::{Digest, Sha256};

use crate::channel::ChannelCorrection;
use crate::chat::{ChatError, ChatFormat, text_sequences};
use crate::model::ModelConfig;

/// How records become token sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordOptions {
    /// What one record is.
    pub unit: PrivacyUnit,
    /// Most tokens of one chunk; at least 2.
    pub max_length: usize,
    /// Most chunks kept of one record; at least 1.
    pub max_chunks: usize,
    /// Put before every record.
    pub bos_token_id: Option<u32>,
    /// Put after every record.
    pub eos_token_id: Option<u32>,
    /// Tokens must lie below it.
    pub vocab_size: usize,
}

impl RecordOptions {
    /// Options with the special tokens and the vocabulary of a model.
    pub fn for_model(model: &ModelConfig, unit: PrivacyUnit, max_length: usize, max_chunks: usize) -> Self {
        Self {
            unit,
            max_length,
            max_chunks,
            bos_token_id: model.bos_token_id,
            eos_token_id: model.eos_token_ids.first().copied(),
            vocab_size: model.vocab_size,
        }
    }
}

/// Data that cannot be turned into records.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing is left to train on.
    #[error("the data holds no records: it is empty or blank")]
    NoRecords,
    /// The bytes are not text, or not text of the unit asked for.
    #[error(transparent)]
    Text(#[from] perturb::text::InputError),
    /// The bytes are a damaged or contradictory file of perturbed tokens.
    #[error(transparent)]
    Tokens(#[from] perturb::tokens::TokensError),
    /// The text cannot be encoded.
    #[error(transparent)]
    Tokenizer(#[from] perturb::TokenizerError),
    /// The chats in it cannot be written by the model's template.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The tokens were made with another tokenizer than the model's.
    #[error(
        "the tokens were perturbed for another tokenizer: perturb the text with this model's tokenizer.json"
    )]
    OtherTokenizer,
    /// A token that the model does not have.
    #[error("record {record} holds the token {token}, but the model's vocabulary ends at {vocab_size}")]
    TokenOutOfRange {
        /// The record, counted from 0.
        record: usize,
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// `max_length` or `max_chunks` leaves nothing of a record.
    #[error("{setting} is {value}, but must be at least {least}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// Its smallest value.
        least: usize,
    },
}

/// A sequence that a model is run over: each token but the last is an input, each but the first a target.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    tokens: Vec<u32>,
    /// Whether each target counts, one for each token but the first; none where all of them do.
    counted: Option<Vec<bool>>,
}

impl Chunk {
    /// A chunk whose targets all count.
    pub fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, counted: None }
    }

    /// A chunk with a flag for each target, whether it counts.
    ///
    /// # Panics
    /// If there are not as many flags as tokens but the first.
    pub fn labelled(tokens: Vec<u32>, counted: Vec<bool>) -> Self {
        assert_eq!(counted.len(), tokens.len().saturating_sub(1), "a flag for each target");
        let partly = counted.contains(&false);
        Self { tokens, counted: partly.then_some(counted) }
    }

    /// All tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// What the model is run over: all tokens but the last.
    pub fn inputs(&self) -> &[u32] {
        self.tokens.split_last().map_or(&[], |(_, inputs)| inputs)
    }

    /// What each input is to predict; `None` where the target does not count (`ignore_index` elsewhere).
    pub fn targets(&self) -> impl ExactSizeIterator<Item = Option<u32>> {
        let tokens = self.tokens.get(1..).unwrap_or_default().iter().enumerate();
        tokens.map(|(index, &token)| self.counts(index).then_some(token))
    }

    /// Number of targets that count.
    pub fn counted_targets(&self) -> usize {
        let targets = self.tokens.len().saturating_sub(1);
        self.counted.as_ref().map_or(targets, |counted| counted.iter().filter(|&&counts| counts).count())
    }

    fn counts(&self, target: usize) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted[target])
    }
}

/// Shows sizes only: the tokens are the owner's text.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} tokens, {} counted targets)", self.tokens.len(), self.counted_targets())
    }
}

/// A record's tokens before it is cut into chunks.
#[derive(Clone, PartialEq, Eq)]
pub struct Sequence<'a> {
    tokens: Cow<'a, [u32]>,
    /// Whether each token is to be learned; none where all of them are.
    counted: Option<Vec<bool>>,
}

impl<'a> Sequence<'a> {
    /// Plain text: it gets the model's special tokens around it, and all of it is learned.
    pub fn text(tokens: impl Into<Cow<'a, [u32]>>) -> Self {
        Self { tokens: tokens.into(), counted: None }
    }

    /// What a chat template wrote, its special tokens included; of it those tokens are learned whose flag is set.
    ///
    /// # Panics
    /// If there are not as many flags as tokens.
    pub fn rendered(tokens: Vec<u32>, counted: Vec<bool>) -> Self {
        assert_eq!(counted.len(), tokens.len(), "a flag for each token");
        Self { tokens: tokens.into(), counted: Some(counted) }
    }
}

impl Sequence<'_> {
    /// Whether any of it is learned.
    pub(crate) fn teaches(&self) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted.iter().skip(1).any(|&counts| counts))
    }
}

/// Shows sizes only: the tokens are the owner's text.
impl fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence({} tokens)", self.tokens.len())
    }
}

/// One privacy unit: chunks of at most `max_length` tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    chunks: Vec<Chunk>,
}

impl Record {
    /// A record of these chunks.
    pub fn new(chunks: Vec<Chunk>) -> Self {
        Self { chunks }
    }

    /// The chunks in the order of the text.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Tokens that are predicted from those before them and count: in plain text all but the first of each chunk.
    pub fn predicted_tokens(&self) -> usize {
        self.chunks.iter().map(Chunk::counted_targets).sum()
    }
}

/// Shows sizes only: the tokens are the owner's text.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} chunks, {} predicted tokens)", self.chunks.len(), self.predicted_tokens())
    }
}

/// All records of a run.
#[derive(Debug, Clone)]
pub struct Records {
    records: Vec<Record>,
    unit: PrivacyUnit,
    dropped_tokens: usize,
    sha256: String,
    channel: Option<Arc<ChannelCorrection>>,
}

/// First bytes of a file of perturbed tokens, which text never starts with by chance.
const TOKENS_MAGIC: &[u8] = b"DPTK";

impl Records {
    /// Records of an uploaded file: perturbed tokens or words, with the manifest of their channel, or else text as
    /// [`text_sequences`] reads it.
    ///
    /// Perturbed tokens bring their own privacy unit along, which then stands in place of `options.unit`.
    ///
    /// # Errors
    /// [`DataError`] if the file is neither, is damaged, belongs to another tokenizer, or holds no records.
    pub fn from_bytes(
        bytes: &[u8],
        tokenizer: &Tokenizer,
        options: &RecordOptions,
        chat: Option<&ChatFormat>,
    ) -> Result<(Self, Option<Manifest>), DataError> {
        if !bytes.starts_with(TOKENS_MAGIC) {
            let sequences = text_sequences(bytes, options.unit, tokenizer, chat)?;
            return Ok((Self::from_labelled(&sequences, options)?, None));
        }
        let (manifest, records) = perturb::tokens::read(bytes)?;
        if manifest.channel_unit == ChannelUnit::Token && manifest.tokenizer_sha256 != tokenizer.sha256() {
            return Err(DataError::OtherTokenizer);
        }
        let sequences = records.into_token_ids(|text| tokenizer.encode(&text))?;
        let options = RecordOptions { unit: manifest.record_unit, ..options.clone() };
        Ok((Self::from_sequences(&sequences, &options)?, Some(manifest)))
    }

    /// Records from token sequences without special tokens, one for each privacy unit; all of them is learned.
    ///
    /// # Errors
    /// [`DataError`] for no records, for a token outside of the vocabulary and for limits that leave nothing.
    pub fn from_sequences(sequences: &[Vec<u32>], options: &RecordOptions) -> Result<Self, DataError> {
        let sequences: Vec<Sequence<'_>> = sequences.iter().map(Sequence::text).collect();
        Self::from_labelled(&sequences, options)
    }

    /// Records from sequences that say which of their tokens are learned, one for each privacy unit.
    ///
    /// # Errors
    /// [`DataError`] for no records, for a token outside of the vocabulary and for limits that leave nothing.
    pub fn from_labelled(sequences: &[Sequence<'_>], options: &RecordOptions) -> Result<Self, DataError> {
        options.check()?;
        if sequences.is_empty() {
            return Err(DataError::NoRecords);
        }
        let mut dropped_tokens = 0;
        let mut records = Vec::with_capacity(sequences.len());
        for (index, sequence) in sequences.iter().enumerate() {
            let vocab_size = options.vocab_size;
            if let Some(&token) = sequence.tokens.iter().find(|&&token| token as usize >= vocab_size) {
                return Err(DataError::TokenOutOfRange { record: index, token, vocab_size });
            }
            let (record, dropped) = options.split(sequence);
            dropped_tokens += dropped;
            records.push(record);
        }
        let sha256 = sha256(&records);
        Ok(Self { records, unit: options.unit, dropped_tokens, sha256, channel: None })
    }

    /// The same records, known to have passed a channel: training allows for it as its configuration says, and the digest
    /// covers it.
    #[must_use]
    pub fn with_channel(mut self, channel: Arc<ChannelCorrection>) -> Self {
        let parts = [self.sha256.as_bytes(), channel.sha256().as_bytes()].concat();
        self.sha256 = crate::hex(&Sha256::digest(parts));
        self.channel = Some(channel);
        self
    }

    /// The channel that the records passed, if it is known.
    pub fn channel(&self) -> Option<&Arc<ChannelCorrection>> {
        self.channel.as_ref()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none; never so for records that were built without an error.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What one record is.
    pub fn unit(&self) -> PrivacyUnit {
        self.unit
    }

    /// Tokens to be learned that are left out because their record had more chunks than are kept.
    pub fn dropped_tokens(&self) -> usize {
        self.dropped_tokens
    }

    /// SHA-256 in hex over the token sequences, over which targets count if not all do, and the channel if there is one.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The record at `index`.
    pub fn get(&self, index: usize) -> &Record {
        &self.records[index]
    }

    /// All records in the order of the data.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
    }

    pub(crate) fn largest_token(&self) -> Option<u32> {
        self.chunks().flat_map(Chunk::tokens).copied().max()
    }

    pub(crate) fn longest_chunk(&self) -> usize {
        self.chunks().map(|chunk| chunk.tokens.len()).max().unwrap_or(0)
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.records.iter().flat_map(|record| &record.chunks)
    }
}

impl RecordOptions {
    fn check(&self) -> Result<(), DataError> {
        let limits = [("max_length", self.max_length, 2), ("max_chunks", self.max_chunks, 1)];
        match limits.into_iter().find(|(_, value, least)| value < least) {
            Some((setting, value, least)) => Err(DataError::Setting { setting, value, least }),
            None => Ok(()),
        }
    }

    /// The record of a sequence, and how many of its tokens to be learned no chunk predicts.
    fn split(&self, sequence: &Sequence<'_>) -> (Record, usize) {
        let mut chunks = match &sequence.counted {
            Some(counted) => self.chunks(&sequence.tokens, Some(counted)),
            None => {
                let mut tokens: Vec<u32> = Vec::with_capacity(sequence.tokens.len() + 2);
                tokens.extend(self.bos_token_id);
                tokens.extend(&*sequence.tokens);
                tokens.extend(self.eos_token_id);
                self.chunks(&tokens, None)
            }
        };
        let counted = |chunks: &[Chunk]| chunks.iter().map(Chunk::counted_targets).sum::<usize>();
        let all = counted(&chunks);
        if all > 0 {
            chunks.retain(|chunk| chunk.counted_targets() > 0);
        }
        chunks.truncate(self.max_chunks);
        let dropped = all - counted(&chunks);
        (Record { chunks }, dropped)
    }

    /// All chunks of a record's tokens.
    fn chunks(&self, tokens: &[u32], counted: Option<&[bool]>) -> Vec<Chunk> {
        let starts = (0..tokens.len().saturating_sub(1).max(1)).step_by(self.max_length - 1);
        let chunk = |start: usize| {
            let range = start..tokens.len().min(start + self.max_length);
            let piece = tokens[range.clone()].to_vec();
            // The first token of a chunk is no target.
            match counted.and_then(|counted| counted[range].split_first()) {
                Some((_, counted)) => Chunk::labelled(piece, counted.to_vec()),
                None => Chunk::new(piece),
            }
        };
        starts.map(chunk).collect()
    }
}

/// Begins the digest of records of which some targets do not count: no number of chunks reads like it.
const LABELLED: &[u8; 8] = b"labelled";

fn sha256(records: &[Record]) -> String {
    let mut hash = Sha256::new();
    let labelled = records.iter().flat_map(|record| &record.chunks).any(|chunk| chunk.counted.is_some());
    if labelled {
        hash.update(LABELLED);
    }
    for record in records {
        hash.update((record.chunks.len() as u64).to_le_bytes());
        for chunk in &record.chunks {
            hash.update((chunk.tokens.len() as u64).to_le_bytes());
            chunk.tokens.iter().for_each(|token| hash.update(token.to_le_bytes()));
            if labelled {
                chunk.targets().for_each(|target| hash.update([u8::from(target.is_some())]));
            }
        }
    }
    crate::hex(&hash.finalize())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
