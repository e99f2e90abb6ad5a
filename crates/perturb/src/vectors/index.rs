//! The table of word vectors, ready to be searched.

use super::VectorError;
use super::arithmetic::{distance, half_square_norm};
use super::panels::Panels;

/// Largest number of words: indices and the sums of the exponential mechanism's bounds keep their room.
pub const MAX_WORDS: usize = 1 << 24;
/// Largest number of coordinates, up to which the error bounds are stated.
pub const MAX_DIMENSION: usize = 1 << 10;

/// Word vectors in [−1, 1]^d with what a fast and exact search needs.
///
/// For V words it takes about 6·V·d bytes.
#[derive(Debug, Clone)]
pub struct VectorIndex {
    pub(super) rows: Vec<f32>,
    /// ‖v‖²/2.
    pub(super) half_norms: Vec<f64>,
    pub(super) panels: Panels,
    nearest_distances: Vec<f32>,
    /// A noisy vector whose squared distance to its own word is below this has that word as its nearest.
    pub(super) safe_squares: Vec<f32>,
    pub(super) lists: Option<Lists>,
}

/// The nearest words of each word, itself first.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    items: Vec<u32>,
    columns: usize,
    /// A noisy vector whose squared distance to its own word is below this has its nearest word in the word's list.
    safe_squares: Vec<f32>,
}

impl Lists {
    /// The word's list, if a vector at this squared distance from it has its nearest word there.
    pub(super) fn covering(&self, word: u32, square: f64) -> Option<&[u32]> {
        let word = word as usize;
        let covered = square < f64::from(self.safe_squares[word]);
        covered.then(|| &self.items[word * self.columns..][..self.columns])
    }
}

impl VectorIndex {
    /// An index of `rows`, row-major, `dim` values a word. Measures each word's distance to its nearest other one,
    /// natively on all cores: 100,000 words take seconds there and more in a browser, for which
    /// [`with_nearest_distances`](Self::with_nearest_distances) takes them from a file.
    ///
    /// # Errors
    /// [`VectorError::Dimension`], [`VectorError::Values`] or [`VectorError::Coordinate`].
    pub fn new(rows: Vec<f32>, dim: usize) -> Result<Self, VectorError> {
        let mut index = Self::without_distances(rows, dim)?;
        index.set_nearest_distances(index.measure_nearest_distances());
        Ok(index)
    }

    /// An index of `rows` with the [`nearest_distances`](Self::nearest_distances) that were measured before.
    ///
    /// They are believed. One that is too large makes the search give the word itself where another is nearer, and what is given then
    /// depends on more than the noisy vector: the mechanism's promise needs them to be right, so they must come from where the code comes
    /// from. Smaller ones only cost time.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`VectorError::Distances`].
    pub fn with_nearest_distances(
        rows: Vec<f32>,
        dim: usize,
        nearest_distances: Vec<f32>,
    ) -> Result<Self, VectorError> {
        let mut index = Self::without_distances(rows, dim)?;
        let valid = |distance: &f32| distance.is_finite() && *distance >= 0.0;
        if nearest_distances.len() != index.len() as usize || !nearest_distances.iter().all(valid) {
            return Err(VectorError::Distances { distances: nearest_distances.len(), words: index.len() });
        }
        index.set_nearest_distances(nearest_distances);
        Ok(index)
    }

    /// An index of `rows` with each word's `columns` nearest words, itself first and by rising distance, row-major.
    ///
    /// They are believed, as in [`with_nearest_distances`](Self::with_nearest_distances): the search is exact only if no word
    /// that is left out of a list is nearer than the last one in it. Vectors that moved far from their word, but less than half as far
    /// as the last one of its list lies, then cost a look at the list and no pass over the table.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`VectorError::Distances`] for lists that do not belong to the table.
    pub fn with_neighbours(
        rows: Vec<f32>,
        dim: usize,
        items: Vec<u32>,
        columns: usize,
    ) -> Result<Self, VectorError> {
        let mut index = Self::without_distances(rows, dim)?;
        let words = index.len();
        let valid =
            columns >= 2 && items.len() == words as usize * columns && items.iter().all(|&item| item < words);
        if !valid {
            return Err(VectorError::Distances { distances: items.len(), words });
        }
        // From below, by more than the distance is rounded.
        let distance = |word: u32, place: usize| {
            let other = items[word as usize * columns + place];
            (index.distance(word, other) * (1.0 - 1e-6)) as f32
        };
        let nearest = (0..words).map(|word| distance(word, 1)).collect();
        let safe = |word| index.safe_square(f64::from(distance(word, columns - 1)));
        let safe_squares = (0..words).map(safe).collect();
        index.set_nearest_distances(nearest);
        index.lists = Some(Lists { items, columns, safe_squares });
        Ok(index)
    }

    fn without_distances(rows: Vec<f32>, dim: usize) -> Result<Self, VectorError> {
        if !(1..=MAX_DIMENSION).contains(&dim) {
            return Err(VectorError::Dimension(dim));
        }
        if !rows.len().is_multiple_of(dim) || !(2..=MAX_WORDS).contains(&(rows.len() / dim)) {
            return Err(VectorError::Values { values: rows.len(), dim });
        }
        if let Some(place) = rows.iter().position(|x| x.is_nan() || x.abs() > 1.0) {
            return Err(VectorError::Coordinate { word: (place / dim) as u32, value: rows[place] });
        }
        let half_norms = rows.chunks_exact(dim).map(half_square_norm).collect();
        let panels = Panels::new(&rows, dim);
        Ok(Self {
            rows,
            half_norms,
            panels,
            nearest_distances: Vec::new(),
            safe_squares: Vec::new(),
            lists: None,
        })
    }

    fn set_nearest_distances(&mut self, distances: Vec<f32>) {
        self.safe_squares = distances.iter().map(|&nearest| self.safe_square(f64::from(nearest))).collect();
        self.nearest_distances = distances;
    }

    /// The square of a distance ρ to its own word within which a vector surely has that word as its nearest.
    ///
    /// Let D be the distance of the word w to its nearest other one and y at a distance of at most ρ = D/2 − m. Any
    /// other word v is at D − ρ or more, and the scores y·w − h(w) and y·v − h(v), which are compared, differ by
    /// (‖y − v‖² − ‖y − w‖²)/2 = (‖y − v‖ − ‖y − w‖)(‖y − v‖ + ‖y − w‖)/2 ≥ (D − 2ρ)·D/2 = m·D. With m·D above the
    /// rounding of both scores the word itself wins in f64 as well.
    fn safe_square(&self, nearest: f64) -> f32 {
        // ‖y‖ ≤ ‖w‖ + D/2 is at most twice the largest norm.
        let rounding = 2.0 * self.panels.rounding_error(2.0 * self.panels.largest_norm());
        // The millionth covers the rounding of the squared distance and of this, and of the f32.
        let margin = rounding / nearest + 1e-6 * nearest;
        let safe = (nearest / 2.0 - margin).max(0.0);
        // A nearest distance of 0 leaves nothing: the margin is infinite.
        (safe * safe) as f32
    }

    /// The vector of a word.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn row(&self, word: u32) -> &[f32] {
        &self.rows[word as usize * self.dim()..][..self.dim()]
    }

    /// d, coordinates of a vector.
    pub fn dim(&self) -> usize {
        self.panels.dim()
    }

    /// V, the number of words.
    #[allow(clippy::len_without_is_empty, reason = "a table has two words at least")]
    pub fn len(&self) -> u32 {
        self.half_norms.len() as u32
    }

    /// Each word's distance to its nearest other word; never above it, and below it by no more than a few millionths.
    pub fn nearest_distances(&self) -> &[f32] {
        &self.nearest_distances
    }

    /// ‖v − u‖ in f64: the differences' squares in four running sums of every fourth coordinate, then the root of
    /// (s₀ + s₁) + (s₂ + s₃). The same bits on every host; what the exponential mechanism's distance is.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn distance(&self, word: u32, other: u32) -> f64 {
        distance(self.row(word), self.row(other))
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
