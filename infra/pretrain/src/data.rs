//! The token stream and the windows training reads from it.
//!
//! Documents are shuffled once, each after a separator token, and packed into one stream. An epoch cuts the stream into
//! windows at a fresh offset and visits them in a fresh order; both follow from a seed and the epoch, so a resumed run
//! continues exactly where it stopped.

use anyhow::{Result, ensure};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::Tokenizer;

use crate::corpus::Document;
use crate::tokenizer::{END_OF_TEXT_ID, encode};

/// Every 100th document is held out: about 1 %, from every source in proportion.
const HELD_OUT_EVERY: usize = 100;

/// Training and held-out tokens.
pub(crate) struct Streams {
    /// For training; documents with several copies appear that often.
    pub(crate) train: Vec<u16>,
    /// Held out, each document once.
    pub(crate) held_out: Vec<u16>,
}

/// Tokenises the documents and splits them.
pub(crate) fn tokenise(tokenizer: &Tokenizer, documents: &[Document], seed: u64) -> Result<Streams> {
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (index, document) in documents.iter().enumerate() {
        let mut tokens = vec![END_OF_TEXT_ID];
        tokens.extend(encode(tokenizer, &document.text)?);
        if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 {
            held_out.push(tokens);
        } else {
            train.extend(std::iter::repeat_n(tokens, document.copies));
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    train.shuffle(&mut rng);
    held_out.shuffle(&mut rng);
    Ok(Streams { train: train.concat(), held_out: held_out.concat() })
}

/// An endless, seeded sequence of training windows.
pub(crate) struct Windows<'a> {
    stream: &'a [u16],
    length: usize,
    seed: u64,
    epoch: u64,
    starts: Vec<usize>,
}

impl<'a> Windows<'a> {
    /// Windows of `length` inputs (and as many targets, one later) over the stream.
    ///
    /// # Errors
    /// If the stream is shorter than two windows.
    pub(crate) fn new(stream: &'a [u16], length: usize, seed: u64) -> Result<Self> {
        ensure!(stream.len() > 2 * length, "{} tokens are too few for windows of {length}", stream.len());
        Ok(Self { stream, length, seed, epoch: 0, starts: starts(stream.len(), length, seed, 0) })
    }

    /// Window `index` of the sequence, as `(inputs, targets)`. Cheap when called with rising indices.
    pub(crate) fn get(&mut self, index: u64) -> (&'a [u16], &'a [u16]) {
        // One window fewer than fit, so that the random offset never runs past the end: see `starts`.
        let per_epoch = self.starts.len() as u64;
        let epoch = index / per_epoch;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.starts = starts(self.stream.len(), self.length, self.seed, epoch);
        }
        let start = self.starts[(index % per_epoch) as usize];
        (&self.stream[start..start + self.length], &self.stream[start + 1..start + 1 + self.length])
    }

    /// Windows in one epoch.
    pub(crate) fn per_epoch(&self) -> usize {
        self.starts.len()
    }
}

/// Shuffled window starts of one epoch. Every epoch has the same number of windows.
fn starts(tokens: usize, length: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let offset = rng.random_range(0..length);
    let count = (tokens - length) / length;
    let mut starts: Vec<usize> =
        (0..count).map(|i| offset + i * length).filter(|s| s + length < tokens).collect();
    starts.truncate(count);
    starts.shuffle(&mut rng);
    starts
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
