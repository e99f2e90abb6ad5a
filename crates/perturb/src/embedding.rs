//! A vector for each item of a vocabulary, for the mechanisms that work on distances.
//!
//! Values are stored as signed bytes with one scale a row, and what is read from a file is what every mechanism, native or in a
//! page, then works on: the rounding is a choice of the table, not an error of the channel. Privacy needs only that the table
//! is public.
//!
//! # File format, version 1
//! ```text
//! magic "DPEM" | version u16 = 1 | rows V u32 | dimension d u32 | vocabulary SHA-256 [32] | domain SHA-256 [32]
//! V scales, f32 | V × d values, i8, row by row in the order of the domain's items | SHA-256 of everything before [32]
//! ```
//! A value is its byte times its row's scale, in f32.

use crate::sealed::{Kind, seal};
use crate::{Domain, Sha256Digest, TableError};

const KIND: Kind = Kind { magic: b"DPEM", version: 1, name: "embedding" };
/// Beyond any embedding in use; keeps sizes far from overflow.
const MAX_DIMENSION: usize = 1 << 16;

/// The vectors of a [`Domain`]'s items.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    dimension: usize,
    scales: Vec<f32>,
    // V × d.
    values: Vec<i8>,
    tokenizer_sha256: Sha256Digest,
    domain_sha256: Sha256Digest,
    sha256: Sha256Digest,
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = (self.scales.len(), self.dimension);
        f.debug_struct("Embedding")
            .field("shape", &shape)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl Embedding {
    /// Rounds the rows of `matrix`, one of `dim` values for each id up to the domain's largest; rows of other ids are ignored.
    ///
    /// # Errors
    /// [`TableError::Embedding`] or [`TableError::NotFinite`].
    pub fn quantise(matrix: &[f32], dim: usize, domain: &Domain) -> Result<Self, TableError> {
        let (values, max_id) = (matrix.len(), domain.max_id());
        if !(1..=MAX_DIMENSION).contains(&dim)
            || !values.is_multiple_of(dim)
            || values / dim <= max_id as usize
        {
            return Err(TableError::Embedding { values, dim, max_id });
        }
        let (mut scales, mut bytes) = (Vec::new(), Vec::with_capacity(domain.len() * dim));
        for &id in domain.ids() {
            let row = &matrix[id as usize * dim..][..dim];
            if !row.iter().all(|value| value.is_finite()) {
                return Err(TableError::NotFinite { id });
            }
            let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let scale = largest / f32::from(i8::MAX);
            scales.push(scale);
            // A row of zeros has scale 0, and 0 / 0 is cast to 0.
            bytes.extend(row.iter().map(|x| (x / scale).round() as i8));
        }
        Ok(Self::from_parts(dim, scales, bytes, domain))
    }

    fn from_parts(dimension: usize, scales: Vec<f32>, values: Vec<i8>, domain: &Domain) -> Self {
        let (tokenizer_sha256, domain_sha256) = (domain.tokenizer_sha256(), domain.sha256());
        let sha256 = Sha256Digest::of(&[]);
        let mut embedding = Self { dimension, scales, values, tokenizer_sha256, domain_sha256, sha256 };
        embedding.sha256 = Sha256Digest::of(&embedding.body());
        embedding
    }

    /// Reads a file and checks all of it.
    ///
    /// # Errors
    /// A [`TableError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8], domain: &Domain) -> Result<Self, TableError> {
        let (mut reader, sha256) = KIND.open(bytes)?;
        let corrupt = || KIND.corrupt();
        let rows = reader.u32().ok_or_else(corrupt)? as usize;
        let dimension = reader.u32().ok_or_else(corrupt)? as usize;
        let tokenizer_sha256 = Sha256Digest::from_bytes(reader.array().ok_or_else(corrupt)?);
        let domain_sha256 = Sha256Digest::from_bytes(reader.array().ok_or_else(corrupt)?);
        if (tokenizer_sha256, domain_sha256) != (domain.tokenizer_sha256(), domain.sha256()) {
            return Err(TableError::Mismatch { table: KIND.name });
        }
        let right_size = (1..=MAX_DIMENSION).contains(&dimension)
            && rows == domain.len()
            // In 64 bits, which a page's usize has not: the product of a damaged file's sizes must not wrap.
            && reader.0.len() as u64 == rows as u64 * (size_of::<f32>() + dimension) as u64;
        if !right_size {
            return Err(corrupt());
        }
        let (scales, values) = reader.0.split_at(rows * size_of::<f32>());
        let scales: Vec<f32> =
            scales.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Some(index) = scales.iter().position(|scale| !(0.0..1e30).contains(scale)) {
            return Err(TableError::NotFinite { id: domain.id(index as u32) });
        }
        let values = values.iter().map(|&byte| byte as i8).collect();
        Ok(Self { dimension, scales, values, tokenizer_sha256, domain_sha256, sha256 })
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.body();
        seal(&mut bytes);
        bytes
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = KIND.head();
        bytes.extend_from_slice(&(self.scales.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.dimension as u32).to_le_bytes());
        bytes.extend_from_slice(self.tokenizer_sha256.as_bytes());
        bytes.extend_from_slice(self.domain_sha256.as_bytes());
        bytes.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        bytes.extend(self.values.iter().map(|&value| value as u8));
        bytes
    }

    /// All rows in the order of the domain's items, row-major, V × d.
    pub fn rows(&self) -> Vec<f32> {
        let row = |(values, &scale): (&[i8], &f32)| -> Vec<f32> {
            values.iter().map(|&value| f32::from(value) * scale).collect()
        };
        self.values.chunks_exact(self.dimension).zip(&self.scales).flat_map(row).collect()
    }

    /// Values a row, d.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether it was made for this vocabulary.
    pub fn belongs_to(&self, domain: &Domain) -> bool {
        self.tokenizer_sha256 == domain.tokenizer_sha256() && self.domain_sha256 == domain.sha256()
    }

    /// Digest of the file without its trailer, which is the trailer.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }
}

#[cfg(test)]
#[path = "embedding_tests.rs"]
mod tests;
