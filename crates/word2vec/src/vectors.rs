//! The result: one vector for each word.

use crate::Word2VecError;

/// Words with their vectors, the most frequent word first.
#[derive(Debug, Clone, PartialEq)]
pub struct WordVectors {
    /// The words, by falling count, ties by spelling.
    pub words: Vec<String>,
    /// How often each occurs in the text.
    pub counts: Vec<u64>,
    /// Values of a vector.
    pub dim: usize,
    /// The vectors, one after the other.
    pub rows: Vec<f32>,
}

impl WordVectors {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`Word2VecError::Shape`] if their lengths do not fit.
    pub fn new(
        words: Vec<String>,
        counts: Vec<u64>,
        dim: usize,
        rows: Vec<f32>,
    ) -> Result<Self, Word2VecError> {
        if dim == 0 || counts.len() != words.len() || Some(rows.len()) != words.len().checked_mul(dim) {
            let (words, counts, values) = (words.len(), counts.len(), rows.len());
            return Err(Word2VecError::Shape { words, counts, values, dim });
        }
        Ok(Self { words, counts, dim, rows })
    }

    /// The vector of the word at `place`.
    pub fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.dim..][..self.dim]
    }
}

#[cfg(test)]
#[path = "vectors_tests.rs"]
mod tests;
