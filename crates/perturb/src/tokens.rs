//! The file that leaves the owner's machine: perturbed tokens or words, and their manifest.
//!
//! # Format, version 2
//! ```text
//! magic "DPTK" | version u16 = 2 | manifest length u32 | manifest, JSON
//! for each record of tokens: how many, then their ids, each as unsigned LEB128
//! for each record of words: how many bytes, as unsigned LEB128, then the words as UTF-8 with one space between them
//! SHA-256 of everything before [32]
//! ```
//! The manifest's `channel_unit` says which. Words travel as text, for the model that is trained on them has other tokens.
//! Fixed-width numbers are little-endian. LEB128 takes one to three bytes a token, two to three for most, and a token is about
//! four bytes of text: 20 MB of text become 12 MB or so, where ids in JSON would not stay below the upload limit.
//!
//! [`read`] trusts nothing: any changed or missing byte is an error, lengths are checked before memory is taken, and ids
//! and counts must be those that the manifest states.

use crate::bytes::{Reader, push_leb128};
use crate::{ChannelUnit, Counts, Manifest, ManifestError, Sha256Digest, Shown};

const MAGIC: &[u8; 4] = b"DPTK";
const VERSION: u16 = 2;
const DIGEST_BYTES: usize = 32;
/// A manifest has less than 2 KB; a file that claims more is broken.
const MAX_MANIFEST_BYTES: u32 = 64 * 1024;

/// Why perturbed tokens cannot be written or read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// No such file.
    #[error(
        "this is no file of perturbed tokens (its first bytes are wrong): make one with `perturb` or on the page"
    )]
    Magic,
    /// Of a later format.
    #[error(
        "the perturbed tokens have format version {0}, and this program reads {VERSION}: perturb the text again"
    )]
    Version(u16),
    /// Damaged or cut.
    #[error("the file of perturbed tokens is damaged or cut short: upload it again")]
    Corrupt,
    /// The manifest is no valid JSON of its version.
    #[error("the manifest of the perturbed tokens is not valid: {}", Shown(.0))]
    ManifestJson(String),
    /// The manifest contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The records are not as many, or as long, as the manifest states.
    #[error("the manifest states {stated:?}, and the records have {actual:?}: perturb the text again")]
    Counts {
        /// What the manifest states.
        stated: Counts,
        /// What there is.
        actual: Counts,
    },
    /// An id that the vocabulary does not have.
    #[error("record {record} has token {id}, and the vocabulary ends at {max}: perturb the text again")]
    TokenId {
        /// The record, from 0.
        record: usize,
        /// The id.
        id: u32,
        /// The largest one that the manifest allows.
        max: u32,
    },
}

/// Perturbed records, one entry for each privacy unit.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Token ids of the model's vocabulary.
    Tokens(Vec<Vec<u32>>),
    /// Words with one space between them.
    Text(Vec<String>),
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Perturbed, but the owner's all the same.
        f.debug_struct("Payload").field("unit", &self.unit()).field("counts", &self.counts()).finish()
    }
}

impl Payload {
    /// What one item is.
    pub fn unit(&self) -> ChannelUnit {
        match self {
            Self::Tokens(_) => ChannelUnit::Token,
            Self::Text(_) => ChannelUnit::Word,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        match self {
            Self::Tokens(records) => records.len(),
            Self::Text(records) => records.len(),
        }
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records and tokens or words.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        match self {
            Self::Tokens(records) => records.iter().for_each(|ids| counts.add(ids.len())),
            Self::Text(records) => {
                records.iter().for_each(|text| counts.add(text.split_ascii_whitespace().count()));
            }
        }
        counts
    }

    /// Token ids of all records: as they are, or by `encode` of their text.
    ///
    /// # Errors
    /// Whatever `encode` says.
    pub fn into_token_ids<E>(
        self,
        encode: impl FnMut(String) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<Vec<u32>>, E> {
        match self {
            Self::Tokens(records) => Ok(records),
            Self::Text(records) => records.into_iter().map(encode).collect(),
        }
    }

    /// The records as the file has them, without what is around them.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Tokens(records) => records.iter().for_each(|ids| {
                push_leb128(bytes, ids.len() as u32);
                ids.iter().for_each(|&id| push_leb128(bytes, id));
            }),
            Self::Text(records) => records.iter().for_each(|text| {
                push_leb128(bytes, text.len() as u32);
                bytes.extend_from_slice(text.as_bytes());
            }),
        }
    }

    fn read(unit: ChannelUnit, mut reader: Reader<'_>) -> Option<Self> {
        let (mut tokens, mut texts) = (Vec::new(), Vec::new());
        while !reader.0.is_empty() {
            match unit {
                ChannelUnit::Token => tokens.push(read_record(&mut reader)?),
                ChannelUnit::Word => {
                    let length = reader.leb128()? as usize;
                    texts.push(std::str::from_utf8(reader.take(length)?).ok()?.to_owned());
                }
            }
        }
        Some(match unit {
            ChannelUnit::Token => Self::Tokens(tokens),
            ChannelUnit::Word => Self::Text(texts),
        })
    }
}

/// Some of a file's records, perturbed on their own: several workers make a file of one each.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Records and tokens in it.
    pub counts: Counts,
    /// The records as the file has them.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Puts the records and their manifest into one file.
///
/// # Errors
/// [`TokensError::Manifest`], [`TokensError::Counts`] or [`TokensError::TokenId`] if they do not belong together: what is
/// written can be read.
pub fn write(manifest: &Manifest, records: &Payload) -> Result<Vec<u8>, TokensError> {
    manifest.check()?;
    check_records(manifest, records)?;
    // What the most tokens have, two or three bytes each.
    let expected = manifest.tokens as usize * 3 + manifest.records as usize * 2;
    sealed(manifest, expected, |bytes| records.write(bytes))
}

/// Puts parts together, in the order of the text, under the manifest of all of them.
///
/// # Errors
/// As [`write`], or [`TokensError::Corrupt`] for a body that no [`Part`] has.
pub fn join(manifest: &Manifest, parts: &[Part]) -> Result<Vec<u8>, TokensError> {
    manifest.check()?;
    // By what there is, not by what the manifest states: the two are compared below.
    let length = parts.iter().map(|part| part.body.len()).sum();
    let append = |bytes: &mut Vec<u8>| parts.iter().for_each(|part| bytes.extend_from_slice(&part.body));
    let bytes = sealed(manifest, length, append)?;
    // The parts may come from other workers, so the result is checked as a reader would.
    read(&bytes)?;
    Ok(bytes)
}

/// The file of these records, which take about `expected` bytes.
fn sealed(
    manifest: &Manifest,
    expected: usize,
    records: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, TokensError> {
    let json = serde_json::to_vec(manifest).map_err(|error| TokensError::ManifestJson(error.to_string()))?;
    if json.len() > MAX_MANIFEST_BYTES as usize {
        return Err(TokensError::ManifestJson(format!("it has {} bytes", json.len())));
    }
    let mut bytes = Vec::with_capacity(json.len() + expected + 64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&json);
    records(&mut bytes);
    let digest = Sha256Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// Reads a file and checks all of it.
///
/// # Errors
/// A [`TokensError`] that says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<(Manifest, Payload), TokensError> {
    let (manifest, reader) = read_head(bytes)?;
    let records = Payload::read(manifest.channel_unit, reader).ok_or(TokensError::Corrupt)?;
    check_records(&manifest, &records)?;
    Ok((manifest, records))
}

/// Reads and checks the manifest alone, and the digest of the whole file.
///
/// # Errors
/// As [`read`], but for the records.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, TokensError> {
    read_head(bytes).map(|(manifest, _)| manifest)
}

/// The manifest, and a reader at the first record that ends where the digest begins.
fn read_head(bytes: &[u8]) -> Result<(Manifest, Reader<'_>), TokensError> {
    let mut reader = Reader(bytes);
    if reader.take(4) != Some(MAGIC) {
        return Err(TokensError::Magic);
    }
    let version = reader.u16().ok_or(TokensError::Corrupt)?;
    if version != VERSION {
        return Err(TokensError::Version(version));
    }
    let (rest, digest) = reader.0.split_last_chunk::<DIGEST_BYTES>().ok_or(TokensError::Corrupt)?;
    if Sha256Digest::of(&bytes[..bytes.len() - DIGEST_BYTES]).as_bytes() != digest {
        return Err(TokensError::Corrupt);
    }
    let mut reader = Reader(rest);
    let length = reader.u32().filter(|&length| length <= MAX_MANIFEST_BYTES).ok_or(TokensError::Corrupt)?;
    let json = reader.take(length as usize).ok_or(TokensError::Corrupt)?;
    let manifest =
        serde_json::from_slice(json).map_err(|error| TokensError::ManifestJson(error.to_string()))?;
    Ok((manifest, reader))
}

fn read_record(reader: &mut Reader<'_>) -> Option<Vec<u32>> {
    let count = reader.leb128()? as usize;
    // A token takes a byte at least, so a count beyond what is left is a lie, and takes no memory.
    if count > reader.0.len() {
        return None;
    }
    (0..count).map(|_| reader.leb128()).collect()
}

fn check_records(manifest: &Manifest, records: &Payload) -> Result<(), TokensError> {
    let (stated, actual) = (manifest.counts(), records.counts());
    if stated != actual || manifest.channel_unit != records.unit() {
        return Err(TokensError::Counts { stated, actual });
    }
    let Payload::Tokens(records) = records else { return Ok(()) };
    let max = manifest.max_token_id;
    for (record, ids) in records.iter().enumerate() {
        if let Some(&id) = ids.iter().find(|&&id| id > max) {
            return Err(TokensError::TokenId { record, id, max });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
