//! What the crate's binary tables have in common: a magic number and a version in front, a SHA-256 behind.
//!
//! ```text
//! magic [4] | version u16 | … | SHA-256 of everything before [32]
//! ```
//! All numbers are little-endian.

use crate::bytes::Reader;
use crate::{Sha256Digest, TableError};

const DIGEST_BYTES: usize = 32;

/// One kind of table file.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) magic: &'static [u8; 4],
    pub(crate) version: u16,
    /// As the error messages name it.
    pub(crate) name: &'static str,
}

impl Kind {
    /// The head of a new file, to be filled and then [sealed](seal).
    pub(crate) fn head(&self) -> Vec<u8> {
        [&self.magic[..], &self.version.to_le_bytes()].concat()
    }

    /// Checks magic, version and digest; gives a reader of what is between, and the digest.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<(Reader<'a>, Sha256Digest), TableError> {
        let mut reader = Reader(bytes);
        if reader.take(4) != Some(self.magic) {
            return Err(TableError::Magic { table: self.name });
        }
        let corrupt = TableError::Corrupt { table: self.name };
        let version = reader.u16().ok_or(corrupt.clone())?;
        if version != self.version {
            return Err(TableError::Version { table: self.name, version, known: self.version });
        }
        let (rest, digest) = reader.0.split_last_chunk::<DIGEST_BYTES>().ok_or(corrupt.clone())?;
        let sha256 = Sha256Digest::of(&bytes[..bytes.len() - DIGEST_BYTES]);
        if sha256.as_bytes() != digest { Err(corrupt) } else { Ok((Reader(rest), sha256)) }
    }

    /// What is said of a file whose digest is right and whose content is not.
    pub(crate) fn corrupt(&self) -> TableError {
        TableError::Corrupt { table: self.name }
    }
}

/// Appends the digest, and gives it.
pub(crate) fn seal(bytes: &mut Vec<u8>) -> Sha256Digest {
    let digest = Sha256Digest::of(bytes);
    bytes.extend_from_slice(digest.as_bytes());
    digest
}
