//! Which tokens are near which: the public sets B(x) of set randomised response.
//!
//! Row x has x first and then the nearest other items by Euclidean distance of the model's input embeddings, ties by id. Any
//! prefix of the columns is a set as well, so one table serves every set size up to its width. The table is
//! made of the public model alone; privacy needs only that it is public and that each set has m distinct items.
//!
//! # File format, version 1
//! ```text
//! magic "DPNT" | version u16 = 1 | rows V u32 | columns M u32 | tokenizer SHA-256 [32]
//! V × M token ids, u32, row by row, rows in ascending order of their first id | SHA-256 of everything before [32]
//! ```
//! All numbers are little-endian.

use crate::bytes::Reader;
use crate::{Domain, Sha256Digest, nearest};

const MAGIC: &[u8; 4] = b"DPNT";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 4 + 2 + 4 + 4 + 32;
const DIGEST_BYTES: usize = 32;

/// Default and largest width: with 32 plausible tokens each, a 50,000-token table has 6.3 MB, which a page can load.
pub const MAX_NEIGHBOURS: u32 = 32;

/// The sets B(x) of every item of a [`Domain`]: V rows of M items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourTable {
    columns: u32,
    // Items of the domain, row-major, V × columns.
    items: Vec<u32>,
    tokenizer_sha256: Sha256Digest,
    domain_sha256: Sha256Digest,
    sha256: Sha256Digest,
}

/// Why a table cannot be built or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No table file.
    #[error(
        "this is no neighbour table (its first bytes are wrong): give the file that was made for the model"
    )]
    Magic,
    /// A table of a later format.
    #[error("the neighbour table has format version {0}, and this program reads {VERSION}: make it again")]
    Version(u16),
    /// Damaged or cut.
    #[error("the neighbour table is damaged or cut short: fetch it again")]
    Corrupt,
    /// Of another tokenizer or vocabulary.
    #[error("the neighbour table belongs to another tokenizer: make it again for this model")]
    Mismatch,
    /// A row that is no set.
    #[error(
        "row {row} of the neighbour table is no set that starts with its own token: make the table again"
    )]
    Row {
        /// The row, from 0.
        row: usize,
    },
    /// A width that no set can have.
    #[error(
        "{columns} neighbours do not suit {rows} tokens: give 1 to {MAX_NEIGHBOURS}, fewer than there are tokens"
    )]
    Columns {
        /// The width.
        columns: u32,
        /// Items in the domain.
        rows: usize,
    },
    /// An embedding matrix that does not cover the vocabulary.
    #[error(
        "the embedding has {values} values in rows of {dim}, and token {max_id} needs its own row: \
         give the embedding of the same model as the tokenizer"
    )]
    Embedding {
        /// Numbers given.
        values: usize,
        /// Numbers a row.
        dim: usize,
        /// The largest id of the vocabulary.
        max_id: u32,
    },
    /// A value that is no number.
    #[error(
        "the embedding of token {id} has a value that is infinite or not a number: the model file is damaged"
    )]
    NotFinite {
        /// The token.
        id: u32,
    },
}

impl NeighbourTable {
    /// Finds the `columns` nearest items of each, itself included, among the rows of `embedding`.
    ///
    /// `embedding` is the input embedding matrix, row-major, one row of `dim` values for each token id; rows of ids outside
    /// the domain are ignored. Exact, on all cores.
    ///
    /// # Errors
    /// [`TableError::Columns`], [`TableError::Embedding`] or [`TableError::NotFinite`].
    pub fn build(embedding: &[f32], dim: usize, domain: &Domain, columns: u32) -> Result<Self, TableError> {
        check_columns(columns, domain)?;
        let (values, max_id) = (embedding.len(), domain.max_id());
        if dim == 0 || !values.is_multiple_of(dim) || values / dim <= max_id as usize {
            return Err(TableError::Embedding { values, dim, max_id });
        }
        let mut rows = Vec::with_capacity(domain.len() * dim);
        for &id in domain.ids() {
            let row = &embedding[id as usize * dim..][..dim];
            if !row.iter().all(|value| value.is_finite()) {
                return Err(TableError::NotFinite { id });
            }
            rows.extend_from_slice(row);
        }
        let items = nearest::nearest_rows(&rows, dim, columns as usize);
        Ok(Self::from_items(items, columns, domain))
    }

    fn from_items(items: Vec<u32>, columns: u32, domain: &Domain) -> Self {
        let (tokenizer_sha256, domain_sha256) = (domain.tokenizer_sha256(), domain.sha256());
        // The digest of an empty file stands in until the bytes are known.
        let sha256 = Sha256Digest::of(&[]);
        let mut table = Self { columns, items, tokenizer_sha256, domain_sha256, sha256 };
        table.sha256 = Sha256Digest::of(&table.body(domain));
        table
    }

    /// Reads a table and checks all of it: digest, tokenizer, and that each row is a set that starts with its own token.
    ///
    /// # Errors
    /// A [`TableError`] that says what is wrong.
    pub fn from_bytes(bytes: &[u8], domain: &Domain) -> Result<Self, TableError> {
        let mut reader = Reader(bytes);
        if reader.take(4) != Some(MAGIC) {
            return Err(TableError::Magic);
        }
        let version = reader.u16().ok_or(TableError::Corrupt)?;
        if version != VERSION {
            return Err(TableError::Version(version));
        }
        let body_bytes = bytes.len().checked_sub(DIGEST_BYTES).ok_or(TableError::Corrupt)?;
        let (body, digest) = bytes.split_at(body_bytes);
        let sha256 = Sha256Digest::of(body);
        if sha256.as_bytes() != digest {
            return Err(TableError::Corrupt);
        }
        let rows = reader.u32().ok_or(TableError::Corrupt)?;
        let columns = reader.u32().ok_or(TableError::Corrupt)?;
        let tokenizer = Sha256Digest::from_bytes(reader.array().ok_or(TableError::Corrupt)?);
        if tokenizer != domain.tokenizer_sha256() || rows as usize != domain.len() {
            return Err(TableError::Mismatch);
        }
        check_columns(columns, domain)?;
        let ids = body.get(HEADER_BYTES..).ok_or(TableError::Corrupt)?;
        if ids.len() != rows as usize * columns as usize * 4 {
            return Err(TableError::Corrupt);
        }
        let items = checked_items(ids, columns as usize, domain)?;
        let (tokenizer_sha256, domain_sha256) = (domain.tokenizer_sha256(), domain.sha256());
        Ok(Self { columns, items, tokenizer_sha256, domain_sha256, sha256 })
    }

    /// The file. `domain` must be the one that the table was built for.
    ///
    /// # Errors
    /// [`TableError::Mismatch`] for another domain.
    pub fn to_bytes(&self, domain: &Domain) -> Result<Vec<u8>, TableError> {
        if !self.belongs_to(domain) {
            return Err(TableError::Mismatch);
        }
        let mut bytes = self.body(domain);
        bytes.extend_from_slice(self.sha256.as_bytes());
        Ok(bytes)
    }

    fn body(&self, domain: &Domain) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.items.len() * 4 + DIGEST_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(domain.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.columns.to_le_bytes());
        bytes.extend_from_slice(self.tokenizer_sha256.as_bytes());
        bytes.extend(self.items.iter().flat_map(|&item| domain.id(item).to_le_bytes()));
        bytes
    }

    /// Whether the table was made for this vocabulary of this tokenizer.
    pub fn belongs_to(&self, domain: &Domain) -> bool {
        self.tokenizer_sha256 == domain.tokenizer_sha256() && self.domain_sha256 == domain.sha256()
    }

    /// Items in each row, M.
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// B(x) of size `set_size` ≤ [`columns`](Self::columns): items of the domain (not ids), x first, then by distance.
    pub fn neighbours(&self, item: u32, set_size: u32) -> &[u32] {
        &self.items[item as usize * self.columns as usize..][..set_size as usize]
    }

    /// Digest of the file without its trailer, which is the trailer.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }
}

fn check_columns(columns: u32, domain: &Domain) -> Result<(), TableError> {
    let fits = (1..=MAX_NEIGHBOURS).contains(&columns) && (columns as usize) < domain.len();
    if fits { Ok(()) } else { Err(TableError::Columns { columns, rows: domain.len() }) }
}

/// Turns rows of ids into rows of items, each checked to be a set that starts with its own token.
fn checked_items(ids: &[u8], columns: usize, domain: &Domain) -> Result<Vec<u32>, TableError> {
    let mut items = Vec::with_capacity(ids.len() / 4);
    for (row, ids) in ids.chunks_exact(columns * 4).enumerate() {
        let start = items.len();
        for id in ids.as_chunks::<4>().0 {
            let item = domain.index(u32::from_le_bytes(*id)).ok_or(TableError::Row { row })?;
            if items[start..].contains(&item) {
                return Err(TableError::Row { row });
            }
            items.push(item);
        }
        if items[start] as usize != row {
            return Err(TableError::Row { row });
        }
    }
    Ok(items)
}

#[cfg(test)]
#[path = "neighbour_table_tests.rs"]
mod tests;
