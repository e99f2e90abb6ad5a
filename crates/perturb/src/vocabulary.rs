//! The words that word mode knows.
//!
//! Item 0 is [`UNKNOWN`]: every word that the vocabulary does not have is this item and passes the channel like any other,
//! so nothing is left out and nothing passes in clear. The others come by falling count in the corpus that the vocabulary
//! was made of.
//!
//! # File format, version 1
//! ```text
//! magic "DPVO" | version u16 = 1 | words V u32
//! for each word: its count (at most 2³² − 1) as unsigned LEB128 | bytes u8 | UTF-8 | SHA-256 of everything before [32]
//! ```

use std::collections::HashMap;

use crate::bytes::push_leb128;
use crate::sealed::{Kind, seal};
use crate::words::for_each_word;
use crate::{Domain, Sha256Digest, TableError};

const KIND: Kind = Kind { magic: b"DPVO", version: 1, name: "vocabulary" };
const MAX_WORD_BYTES: usize = u8::MAX as usize;

/// How the item for all other words is written.
pub const UNKNOWN: &str = "<unk>";

/// Words with their counts in a public corpus, and the way from text to word ids.
#[derive(Clone)]
pub struct Vocabulary {
    words: Vec<Box<str>>,
    counts: Vec<u32>,
    ids: HashMap<Box<str>, u32>,
    domain: Domain,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// A vocabulary of `words` with their counts, and of [`UNKNOWN`] in front with the count of all others.
    ///
    /// # Errors
    /// [`TableError::Word`] for a word twice, an empty or overlong one, or one that text cannot have.
    pub fn new(
        words: impl IntoIterator<Item = (String, u64)>,
        unknown_count: u64,
    ) -> Result<Self, TableError> {
        let all = std::iter::once((UNKNOWN.to_owned(), unknown_count)).chain(words);
        let (words, counts): (Vec<_>, Vec<_>) = all
            .map(|(word, count)| (word.into_boxed_str(), u32::try_from(count).unwrap_or(u32::MAX)))
            .unzip();
        Self::from_parts(words, counts)
    }

    fn from_parts(words: Vec<Box<str>>, counts: Vec<u32>) -> Result<Self, TableError> {
        let mut ids = HashMap::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            check_word(index, word)?;
            if ids.insert(word.clone(), index as u32).is_some() {
                return Err(TableError::Word { index, problem: "is there twice" });
            }
        }
        // Text cannot spell it, so the entry would only cost a lookup its certainty.
        ids.remove(UNKNOWN);
        let sha256 = Sha256Digest::of(&body(&words, &counts));
        let too_few = TableError::Word { index: words.len(), problem: "is missing: two are needed at least" };
        let domain = Domain::new((0..words.len() as u32).collect(), sha256)
            .filter(|domain| domain.len() > 2)
            .ok_or(too_few)?;
        Ok(Self { words, counts, ids, domain })
    }

    /// Reads a file and checks all of it.
    ///
    /// # Errors
    /// A [`TableError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableError> {
        let (mut reader, _) = KIND.open(bytes)?;
        let count = reader.u32().ok_or(KIND.corrupt())? as usize;
        let (mut words, mut counts) = (Vec::<Box<str>>::new(), Vec::new());
        for _ in 0..count {
            counts.push(reader.leb128().ok_or(KIND.corrupt())?);
            let [length] = reader.array().ok_or(KIND.corrupt())?;
            let word = reader.take(usize::from(length)).ok_or(KIND.corrupt())?;
            words.push(std::str::from_utf8(word).map_err(|_| KIND.corrupt())?.into());
        }
        if words.first().is_none_or(|word| **word != *UNKNOWN) || !reader.0.is_empty() {
            return Err(KIND.corrupt());
        }
        Self::from_parts(words, counts)
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = body(&self.words, &self.counts);
        seal(&mut bytes);
        bytes
    }

    /// The ids of a text's words, [`UNKNOWN`]'s for those that the vocabulary does not have.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 5);
        for_each_word(text, |word| ids.push(self.ids.get(word).copied().unwrap_or(0)));
        ids
    }

    /// The words of ids, with one space between them.
    pub fn decode(&self, ids: &[u32]) -> String {
        let words: Vec<&str> = ids.iter().map(|&id| self.word(id)).collect();
        words.join(" ")
    }

    /// A word; [`UNKNOWN`] for an id that there is not.
    pub fn word(&self, id: u32) -> &str {
        self.words.get(id as usize).map_or(UNKNOWN, |word| word)
    }

    /// How often a word was in the corpus.
    pub fn count(&self, id: u32) -> u32 {
        self.counts.get(id as usize).copied().unwrap_or(0)
    }

    /// The ids as a domain; its [`tokenizer_sha256`](Domain::tokenizer_sha256) is this vocabulary's digest.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

fn check_word(index: usize, word: &str) -> Result<(), TableError> {
    let problem = match word.len() {
        0 => "is empty",
        length if length > MAX_WORD_BYTES => "has more than 255 bytes",
        // Else decoding and encoding would not agree, and the words of a record could not be counted.
        _ if word.contains(char::is_whitespace) => "has white space in it",
        _ => return Ok(()),
    };
    Err(TableError::Word { index, problem })
}

fn body(words: &[Box<str>], counts: &[u32]) -> Vec<u8> {
    let mut bytes = KIND.head();
    bytes.extend_from_slice(&(words.len() as u32).to_le_bytes());
    for (word, &count) in words.iter().zip(counts) {
        push_leb128(&mut bytes, count);
        // `check_word` bounds the length.
        bytes.push(word.len() as u8);
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes
}

#[cfg(test)]
#[path = "vocabulary_tests.rs"]
mod tests;
