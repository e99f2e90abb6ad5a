//! Text in, perturbed tokens out: what the command line and the page call.

use std::ops::ControlFlow;

use dp::PrivacyUnit;
use rand::CryptoRng;

use crate::text::InputError;
use crate::tokens::{self, TokensError};
use crate::{
    Channel, ChannelError, Counts, Manifest, Mechanism, NeighbourTable, Progress, Session, Tokenizer,
    TokenizerError,
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
    #[error("{left} bytes of the text are not yet perturbed: push on before finishing")]
    Unfinished {
        /// Bytes not yet read.
        left: usize,
    },
}

/// A tokenizer and a channel over its vocabulary.
#[derive(Debug, Clone)]
pub struct Perturber {
    tokenizer: Tokenizer,
    channel: Channel,
}

/// Perturbed records with their manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct PerturbedText {
    /// The channel and the counts.
    pub manifest: Manifest,
    /// Token ids of each record.
    pub records: Vec<Vec<u32>>,
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
    /// Puts a tokenizer, its neighbour table (for set-rr) and a mechanism together.
    ///
    /// # Errors
    /// A [`ChannelError`] if they do not belong together.
    pub fn new(
        tokenizer: Tokenizer,
        table: Option<NeighbourTable>,
        mechanism: Mechanism,
    ) -> Result<Self, ChannelError> {
        let channel = Channel::new(mechanism, tokenizer.domain().clone(), table)?;
        Ok(Self { tokenizer, channel })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
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
        Ok(self.channel.perturb_tokens(&self.tokenizer.encode(record)?, rng))
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

    /// Perturbs a whole file in one call; `progress` hears how far it is and may stop the work.
    ///
    /// # Errors
    /// An [`InputError`] before any work, [`PerturbError::Cancelled`], or what the tokenizer says.
    pub fn perturb_text(
        &self,
        bytes: Vec<u8>,
        unit: PrivacyUnit,
        model: Option<String>,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<PerturbedText, PerturbError> {
        let mut session = Session::begin(bytes, unit)?;
        while !session.is_done() {
            if progress(session.push_chunk(self, rng, CHUNK_BYTES)?).is_break() {
                return Err(PerturbError::Cancelled);
            }
        }
        session.finish(self, model)
    }

    /// Perturbs one record to show it beside the original. Each call draws anew and spends the record's ε again if its output
    /// leaves the machine; it is meant for the owner's eyes.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`].
    pub fn preview(&self, record: &str, rng: &mut impl CryptoRng) -> Result<Preview, TokenizerError> {
        let original_ids = self.tokenizer.encode(record)?;
        let perturbed_ids = self.channel.perturb_tokens(&original_ids, rng);
        let texts = |ids: &[u32]| ids.iter().map(|&id| self.tokenizer.token_text(id)).collect();
        Ok(Preview {
            original: texts(&original_ids),
            perturbed: texts(&perturbed_ids),
            perturbed_text: self.tokenizer.decode(&perturbed_ids),
            original_ids,
            perturbed_ids,
        })
    }

    /// The text of perturbed ids; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }
}

#[cfg(test)]
#[path = "perturber_tests.rs"]
mod tests;
