//! The file that leaves the owner's machine: perturbed token ids and their manifest.
//!
//! # Format, version 1
//! ```text
//! magic "DPTK" | version u16 = 1 | manifest length u32 | manifest, JSON
//! for each record: number of tokens, then the token ids, each as unsigned LEB128
//! SHA-256 of everything before [32]
//! ```
//! Fixed-width numbers are little-endian. LEB128 takes one to three bytes a token, two to three for most, and a token is about
//! four bytes of text: 20 MB of text become 12 MB or so, where ids in JSON would not stay below the upload limit.
//!
//! [`read`] trusts nothing: any changed or missing byte is an error, lengths are checked before memory is taken, and ids
//! and counts must be those that the manifest states.

use crate::bytes::{Reader, push_leb128};
use crate::{Counts, Manifest, ManifestError, Sha256Digest};

const MAGIC: &[u8; 4] = b"DPTK";
const VERSION: u16 = 1;
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
    #[error("the manifest of the perturbed tokens is not valid: {0}")]
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

/// Puts the records and their manifest into one file.
///
/// # Errors
/// [`TokensError::Manifest`], [`TokensError::Counts`] or [`TokensError::TokenId`] if they do not belong together: what is
/// written can be read.
pub fn write(manifest: &Manifest, records: &[Vec<u32>]) -> Result<Vec<u8>, TokensError> {
    manifest.check()?;
    check_records(manifest, records)?;
    let json = serde_json::to_vec(manifest).map_err(|error| TokensError::ManifestJson(error.to_string()))?;
    if json.len() > MAX_MANIFEST_BYTES as usize {
        return Err(TokensError::ManifestJson(format!("it has {} bytes", json.len())));
    }
    let mut bytes = Vec::with_capacity(json.len() + manifest.tokens as usize * 3 + records.len() * 2 + 64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&json);
    for record in records {
        push_leb128(&mut bytes, record.len() as u32);
        record.iter().for_each(|&id| push_leb128(&mut bytes, id));
    }
    let digest = Sha256Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// Reads a file and checks all of it.
///
/// # Errors
/// A [`TokensError`] that says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<(Manifest, Vec<Vec<u32>>), TokensError> {
    let (manifest, mut reader) = read_head(bytes)?;
    let mut records = Vec::new();
    while !reader.0.is_empty() {
        records.push(read_record(&mut reader).ok_or(TokensError::Corrupt)?);
    }
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

fn check_records(manifest: &Manifest, records: &[Vec<u32>]) -> Result<(), TokensError> {
    let (stated, actual) = (manifest.counts(), Counts::of(records));
    if stated != actual {
        return Err(TokensError::Counts { stated, actual });
    }
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
