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

use crate::sealed::{Kind, seal};
use crate::{Domain, Embedding, Sha256Digest, TableError, nearest};

const KIND: Kind = Kind { magic: b"DPNT", version: 1, name: "neighbour table" };

/// Default width: with 32 plausible tokens each, a 50,000-token table has 6.3 MB, which a page can load.
pub const DEFAULT_NEIGHBOURS: u32 = 32;
/// Largest width. Sets this large hide a token better by a smaller ε than by more neighbours; and a row's duplicates are
/// looked for one by one.
pub const MAX_NEIGHBOURS: u32 = 4096;

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

    /// [`build`](Self::build) over the vectors of an embedding file, as they are after its rounding.
    ///
    /// # Errors
    /// [`TableError::Columns`], or [`TableError::Mismatch`] for another domain's embedding.
    pub fn of(embedding: &Embedding, domain: &Domain, columns: u32) -> Result<Self, TableError> {
        if !embedding.belongs_to(domain) {
            return Err(TableError::Mismatch { table: KIND.name });
        }
        check_columns(columns, domain)?;
        let items = nearest::nearest_rows(&embedding.rows(), embedding.dimension(), columns as usize);
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
        let (mut reader, sha256) = KIND.open(bytes)?;
        let corrupt = || KIND.corrupt();
        let rows = reader.u32().ok_or_else(corrupt)?;
        let columns = reader.u32().ok_or_else(corrupt)?;
        let tokenizer = Sha256Digest::from_bytes(reader.array().ok_or_else(corrupt)?);
        if tokenizer != domain.tokenizer_sha256() || rows as usize != domain.len() {
            return Err(TableError::Mismatch { table: KIND.name });
        }
        check_columns(columns, domain)?;
        let ids = reader.0;
        // In 64 bits, which a page's usize has not: the product of a damaged file's sizes must not wrap.
        if ids.len() as u64 != u64::from(rows) * u64::from(columns) * 4 {
            return Err(corrupt());
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
            return Err(TableError::Mismatch { table: KIND.name });
        }
        let mut bytes = self.body(domain);
        seal(&mut bytes);
        Ok(bytes)
    }

    fn body(&self, domain: &Domain) -> Vec<u8> {
        let mut bytes = KIND.head();
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

    /// All rows, row-major, V × M.
    pub(crate) fn items(&self) -> &[u32] {
        &self.items
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
