//! A text as numbers: its vocabulary, and each word's place in it.
//!
//! One pass over the text gives every different word a number in order of appearance and counts it; then the words are put in
//! order and the text is renumbered. Words are separated by ASCII white space; contexts do not reach over the end of a line.

use std::collections::HashMap;
use std::io::BufRead;

use sha2::{Digest, Sha256};

use crate::{Config, Word2VecError};

/// Stands in the text for the end of a line.
pub(crate) const LINE_END: u32 = u32::MAX;

/// The words that have vectors, by falling count, ties by spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    counts: Vec<u64>,
}

impl Vocabulary {
    /// The words of a text that occur `config.min_count` times or more, at most `config.max_words` of them.
    ///
    /// # Errors
    /// As [`Corpus::read`].
    pub fn build(text: impl BufRead, config: &Config) -> Result<Self, Word2VecError> {
        Ok(Corpus::read(text, config)?.vocabulary)
    }

    /// The words, the most frequent first.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// How often each word occurs in the text.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is none; a vocabulary that was built has two or more.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<u64>) {
        (self.words, self.counts)
    }
}

/// A text over its vocabulary.
#[derive(Debug, Clone)]
pub struct Corpus {
    vocabulary: Vocabulary,
    /// Numbers of words, and [`LINE_END`]s; words outside of the vocabulary are gone.
    ids: Vec<u32>,
    /// Words of the text, those outside of the vocabulary included.
    raw_words: u64,
}

impl Corpus {
    /// Reads a text.
    ///
    /// # Errors
    /// [`Word2VecError::Read`], [`NotUtf8`](Word2VecError::NotUtf8), or [`Vocabulary`](Word2VecError::Vocabulary) if fewer
    /// than two words are frequent enough.
    pub fn read(mut text: impl BufRead, config: &Config) -> Result<Self, Word2VecError> {
        let mut counter = Counter::default();
        // The piece of a word that a buffer ended in.
        let mut piece: Vec<u8> = Vec::new();
        loop {
            let buffer = text.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let (length, mut rest) = (buffer.len(), buffer);
            while let Some(end) = rest.iter().position(u8::is_ascii_whitespace) {
                if piece.is_empty() {
                    counter.add(&rest[..end])?;
                } else {
                    piece.extend_from_slice(&rest[..end]);
                    counter.add(&piece)?;
                    piece.clear();
                }
                if rest[end] == b'\n' {
                    counter.ids.push(LINE_END);
                }
                rest = &rest[end + 1..];
            }
            piece.extend_from_slice(rest);
            text.consume(length);
        }
        counter.add(&piece)?;
        counter.finish(config)
    }

    /// The words that have vectors.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Words of the text, those outside of the vocabulary included.
    pub fn raw_words(&self) -> u64 {
        self.raw_words
    }

    pub(crate) fn into_vocabulary(self) -> Vocabulary {
        self.vocabulary
    }

    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// SHA-256 of the vocabulary and the numbered text.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (word, count) in self.vocabulary.words.iter().zip(&self.vocabulary.counts) {
            hash.update(word);
            hash.update(b"\n");
            hash.update(count.to_le_bytes());
        }
        for ids in self.ids.chunks(1024) {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            hash.update(bytes);
        }
        hash.finalize().into()
    }
}

/// Words in order of appearance.
#[derive(Default)]
struct Counter {
    numbers: HashMap<Box<str>, u32>,
    counts: Vec<u64>,
    ids: Vec<u32>,
    raw_words: u64,
}

impl Counter {
    fn add(&mut self, word: &[u8]) -> Result<(), Word2VecError> {
        if word.is_empty() {
            return Ok(());
        }
        let word = str::from_utf8(word).map_err(|_| Word2VecError::NotUtf8 { word: self.raw_words })?;
        let number = match self.numbers.get(word) {
            Some(&number) => number,
            None => {
                let number = self.counts.len() as u32;
                self.numbers.insert(word.into(), number);
                self.counts.push(0);
                number
            }
        };
        self.counts[number as usize] += 1;
        self.ids.push(number);
        self.raw_words += 1;
        Ok(())
    }

    fn finish(self, config: &Config) -> Result<Corpus, Word2VecError> {
        let mut kept: Vec<(Box<str>, u32)> = self.numbers.into_iter().collect();
        kept.retain(|(_, number)| self.counts[*number as usize] >= config.min_count);
        let count = |number: u32| self.counts[number as usize];
        kept.sort_unstable_by(|a, b| count(b.1).cmp(&count(a.1)).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(config.max_words);
        if kept.len() < 2 {
            return Err(Word2VecError::Vocabulary { found: kept.len(), min_count: config.min_count });
        }
        let mut places: Vec<Option<u32>> = vec![None; self.counts.len()];
        for (place, (_, number)) in kept.iter().enumerate() {
            places[*number as usize] = Some(place as u32);
        }
        let renumber = |id| if id == LINE_END { Some(LINE_END) } else { places[id as usize] };
        let ids = self.ids.into_iter().filter_map(renumber).collect();
        let counts = kept.iter().map(|(_, number)| count(*number)).collect();
        let words = kept.into_iter().map(|(word, _)| word.into()).collect();
        Ok(Corpus { vocabulary: Vocabulary { words, counts }, ids, raw_words: self.raw_words })
    }
}

#[cfg(test)]
#[path = "corpus_tests.rs"]
mod tests;
