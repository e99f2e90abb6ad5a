//! What text is made of for the channel: tokens of a model, or words.

use crate::tokenizer::TokenizerError;
use crate::tokens::Payload;
use crate::{ChannelUnit, Domain, Tokenizer, Vocabulary, parallel};

/// The way from text to items of a domain and back.
#[derive(Debug, Clone)]
pub enum Lexicon {
    /// Tokens of a model's tokenizer: what comes out can be trained on as it is, and nothing of the text is dropped.
    Tokens(Box<Tokenizer>),
    /// Words of a vocabulary, as the original service had it: see [`words`](crate::words) for what is dropped.
    Words(Box<Vocabulary>),
}

impl From<Tokenizer> for Lexicon {
    fn from(tokenizer: Tokenizer) -> Self {
        Self::Tokens(Box::new(tokenizer))
    }
}

impl From<Vocabulary> for Lexicon {
    fn from(vocabulary: Vocabulary) -> Self {
        Self::Words(Box::new(vocabulary))
    }
}

impl Lexicon {
    /// The ids of a record's text, and nothing but those.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`], which a tokenizer that was read without an error has no reason for.
    pub fn encode(&self, record: &str) -> Result<Vec<u32>, TokenizerError> {
        match self {
            Self::Tokens(tokenizer) => tokenizer.encode(record),
            Self::Words(vocabulary) => Ok(vocabulary.encode(record)),
        }
    }

    /// [`encode`](Self::encode) of each record, on all cores.
    pub(crate) fn encode_all(
        &self,
        records: &[impl AsRef<str> + Sync],
    ) -> Result<Vec<Vec<u32>>, TokenizerError> {
        let mut encoded: Vec<Result<Vec<u32>, TokenizerError>> =
            records.iter().map(|_| Ok(Vec::new())).collect();
        let jobs = records.iter().zip(&mut encoded).collect();
        parallel::for_each(jobs, |(record, slot)| *slot = self.encode(record.as_ref()));
        encoded.into_iter().collect()
    }

    /// The text of ids.
    pub fn decode(&self, ids: &[u32]) -> String {
        match self {
            Self::Tokens(tokenizer) => tokenizer.decode(ids),
            Self::Words(vocabulary) => vocabulary.decode(ids),
        }
    }

    /// The text of one id by itself, to show items side by side.
    pub fn item_text(&self, id: u32) -> String {
        match self {
            Self::Tokens(tokenizer) => tokenizer.token_text(id),
            Self::Words(vocabulary) => format!("{} ", vocabulary.word(id)),
        }
    }

    /// The ids that a record can have.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Tokens(tokenizer) => tokenizer.domain(),
            Self::Words(vocabulary) => vocabulary.domain(),
        }
    }

    /// Records as they are sent: token ids for a trainer that has the same vocabulary, words as text.
    pub(crate) fn payload<'a>(&self, records: impl Iterator<Item = &'a [u32]>) -> Payload {
        match self {
            Self::Tokens(_) => Payload::Tokens(records.map(<[u32]>::to_vec).collect()),
            Self::Words(vocabulary) => Payload::Text(records.map(|ids| vocabulary.decode(ids)).collect()),
        }
    }

    /// What one item is.
    pub fn unit(&self) -> ChannelUnit {
        match self {
            Self::Tokens(_) => ChannelUnit::Token,
            Self::Words(_) => ChannelUnit::Word,
        }
    }
}
