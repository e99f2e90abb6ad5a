//! The model's tokenizer, made to take any text as plain text.
//!
//! A `tokenizer.json` may hold things that a fine-tune or a generation needs and that would break the channel here: it may
//! cut or pad records, put special tokens in front, drop merges at random, or read `<|endoftext|>` in the owner's text as a
//! control token. All of them are switched off: a record's tokens are those of its characters alone.

use std::collections::HashSet;

use serde_json::Value;

use crate::{Domain, Sha256Digest, Shown};

/// Why a tokenizer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The bytes are no tokenizer.json.
    #[error("the tokenizer cannot be read ({}): give the tokenizer.json of the model", Shown(.0))]
    Unreadable(String),
    /// Neither kind of vocabulary that takes any text.
    #[error(
        "the tokenizer is neither byte-level BPE nor has byte fallback, so some text would be lost: \
         choose a model such as GPT-2, Llama, SmolLM or Qwen"
    )]
    NotByteLevel,
    /// A byte of ordinary text has no token.
    #[error(
        "the tokenizer has no token for the byte 0x{0:02X}, so text with it would be lost: choose another model"
    )]
    ByteMissing(u8),
    /// Hardly a vocabulary.
    #[error("the tokenizer has {0} tokens that can be perturbed: at least 256 are needed")]
    TooSmall(usize),
    /// A record could not be encoded. Its text is not repeated.
    #[error("a record cannot be encoded by this model's tokenizer: choose another model")]
    Encode,
}

/// How a vocabulary spells bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// GPT-2: each byte is one printable character.
    ByteLevel,
    /// SentencePiece with byte fallback: characters as they are, ▁ for a space, `<0x0A>` for other bytes.
    ByteFallback,
}

/// A byte-complete tokenizer that adds nothing, cuts nothing and knows no control tokens.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    // Bytes of each item of the domain. By item, not by id: one far-off id must not cost a row for each id before it.
    pieces: Vec<Vec<u8>>,
    domain: Domain,
}

impl Tokenizer {
    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// A [`TokenizerError`] if they are none, or if ordinary text would have no tokens.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let mut json: Value =
            serde_json::from_slice(bytes).map_err(|error| TokenizerError::Unreadable(error.to_string()))?;
        let spelling = spelling(&json).ok_or(TokenizerError::NotByteLevel)?;
        neutralise(&mut json).ok_or_else(|| TokenizerError::Unreadable("a part is missing".to_owned()))?;
        // Serialising a `Value` cannot fail: its keys are strings.
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string());
        let mut inner = inner.map_err(|error| TokenizerError::Unreadable(error.to_string()))?;
        inner.set_encode_special_tokens(true);
        let added: HashSet<u32> = inner.get_added_tokens_decoder().into_keys().collect();
        let vocabulary = inner.get_vocab(true);
        let ids = vocabulary.values().copied().filter(|id| !added.contains(id)).collect();
        let domain = Domain::new(ids, Sha256Digest::of(bytes)).ok_or(TokenizerError::TooSmall(0))?;
        let mut pieces = vec![Vec::new(); domain.len()];
        for (token, id) in &vocabulary {
            if let Some(item) = domain.index(*id) {
                pieces[item as usize] = piece(token, spelling);
            }
        }
        let tokenizer = Self { inner, spelling, pieces, domain };
        tokenizer.check_bytes()?;
        Ok(tokenizer)
    }

    /// The perturbable vocabulary.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// SHA-256 of the tokenizer.json that was read.
    pub fn sha256(&self) -> Sha256Digest {
        self.domain.tokenizer_sha256()
    }

    /// The token ids of a record's text, and nothing but those.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`], which a tokenizer that passed [`from_bytes`](Self::from_bytes) has no reason for.
    pub fn encode(&self, record: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(record, false).map_err(|_| TokenizerError::Encode)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of ids. Bytes that are not UTF-8, as perturbed ones often are, become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.piece(id)).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        match self.spelling {
            // SentencePiece puts one space in front of every text.
            Spelling::ByteFallback => text.strip_prefix(' ').unwrap_or(&text).to_owned(),
            Spelling::ByteLevel => text.into_owned(),
        }
    }

    /// The text of one id by itself, spaces included, to show tokens side by side.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.piece(id)).into_owned()
    }

    fn piece(&self, id: u32) -> &[u8] {
        self.domain.index(id).map_or(&[], |item| &self.pieces[item as usize])
    }

    /// Every byte that ordinary text has must be a token of its own.
    fn check_bytes(&self) -> Result<(), TokenizerError> {
        let single: HashSet<u8> = (self.domain.ids().iter())
            .filter(|&&id| self.spelling == Spelling::ByteLevel || self.is_byte_token(id))
            .filter_map(|&id| if let [byte] = self.piece(id) { Some(*byte) } else { None })
            .collect();
        match (0..=255).find(|byte| is_ordinary(*byte) && !single.contains(byte)) {
            Some(byte) => Err(TokenizerError::ByteMissing(byte)),
            None if self.domain.len() < 256 => Err(TokenizerError::TooSmall(self.domain.len())),
            None => Ok(()),
        }
    }

    fn is_byte_token(&self, id: u32) -> bool {
        self.inner.id_to_token(id).is_some_and(|token| fallback_byte(&token).is_some())
    }
}

/// Bytes that occur in assigned Unicode text. The others are control characters, bytes that UTF-8 never has (C0, C1, F5 and
/// up) and leads of planes without characters (F1, F2) or for private use (F4); tokenizers in use, SmolLM's among them, leave
/// some of these out, and then drop them from the text.
fn is_ordinary(byte: u8) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..=0xBF | 0xC2..=0xF0 | 0xF3 => true,
        0x00..=0x1F | 0x7F | 0xC0 | 0xC1 | 0xF1 | 0xF2 | 0xF4..=0xFF => false,
    }
}

/// Which way a tokenizer spells bytes, if it can take any text at all.
fn spelling(json: &Value) -> Option<Spelling> {
    let has = |key: &str| contains_type(&json[key], "ByteLevel");
    if has("pre_tokenizer") || has("normalizer") {
        Some(Spelling::ByteLevel)
    } else if json["model"]["byte_fallback"] == Value::Bool(true) {
        Some(Spelling::ByteFallback)
    } else {
        None
    }
}

fn contains_type(json: &Value, name: &str) -> bool {
    match json {
        Value::Object(object) => {
            object.get("type").is_some_and(|kind| kind == name)
                || object.values().any(|value| contains_type(value, name))
        }
        Value::Array(values) => values.iter().any(|value| contains_type(value, name)),
        _ => false,
    }
}

/// Switches off whatever is not a function of the text alone, and makes every added token one that text cannot spell.
fn neutralise(json: &mut Value) -> Option<()> {
    switch_off(json)?;
    for token in json.get_mut("added_tokens").and_then(Value::as_array_mut).into_iter().flatten() {
        // Only special ones are left unread by `set_encode_special_tokens`; a chat model's `<think>` is not among them.
        token.as_object_mut()?.insert("special".to_owned(), Value::Bool(true));
    }
    Some(())
}

/// Switches off whatever cuts, pads or lengthens a text, or reads it differently from time to time.
pub(crate) fn switch_off(json: &mut Value) -> Option<()> {
    let file = json.as_object_mut()?;
    for key in ["truncation", "padding", "post_processor"] {
        file.insert(key.to_owned(), Value::Null);
    }
    file.get_mut("model")?.as_object_mut()?.insert("dropout".to_owned(), Value::Null);
    Some(())
}

/// The bytes that a token of the vocabulary stands for.
fn piece(token: &str, spelling: Spelling) -> Vec<u8> {
    match spelling {
        Spelling::ByteFallback => match fallback_byte(token) {
            Some(byte) => vec![byte],
            None => token.replace('▁', " ").into_bytes(),
        },
        Spelling::ByteLevel => token.chars().filter_map(spelled_byte).collect(),
    }
}

/// The byte of `<0x0A>`.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// Inverse of GPT-2's spelling: printable Latin-1 characters stand for themselves, and the bytes left over, in order, for
/// the characters from U+0100 on.
fn spelled_byte(character: char) -> Option<u8> {
    let is_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match u8::try_from(character) {
        Ok(byte) => Some(byte).filter(|byte| is_itself(*byte)),
        Err(_) => (0..=255).filter(|byte| !is_itself(*byte)).nth((character as usize).checked_sub(0x100)?),
    }
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
