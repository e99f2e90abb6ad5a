//! Why a table cannot be built or read.

use crate::MAX_NEIGHBOURS;

/// What is wrong with a vocabulary, an embedding or a neighbour table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No such file.
    #[error("this is no {table} (its first bytes are wrong): give the file that was made for the model")]
    Magic {
        /// The kind of table.
        table: &'static str,
    },
    /// A table of a later format.
    #[error("the {table} has format version {version}, and this program reads {known}: make it again")]
    Version {
        /// The kind of table.
        table: &'static str,
        /// The file's version.
        version: u16,
        /// The one that is read.
        known: u16,
    },
    /// Damaged or cut.
    #[error("the {table} is damaged or cut short: fetch it again")]
    Corrupt {
        /// The kind of table.
        table: &'static str,
    },
    /// Of another tokenizer or vocabulary.
    #[error("the {table} belongs to another vocabulary: make it again for this one")]
    Mismatch {
        /// The kind of table.
        table: &'static str,
    },
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
    /// A list of words that is no vocabulary. The word is not repeated: it may be the owner's.
    #[error("word {index} of the vocabulary {problem}: make the vocabulary again")]
    Word {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}
