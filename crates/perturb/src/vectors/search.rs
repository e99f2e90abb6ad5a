//! The nearest words of noisy vectors.
//!
//! # Contract
//! For a vector y, in f64, the result is the row v with the largest score y·v − ‖v‖²/2, which is the one with the
//! smallest ‖y − v‖² = ‖y‖² − 2·score. Scores are f64 numbers, summed in one order on every host; of equal ones the
//! smallest index wins. (Unlike ‖y − v‖² they keep their digits when y is far away.)
//!
//! Steps, each rigorous:
//! 1. A vector that is nearer to its own word than half of the word's distance to the nearest other one has that word
//!    as its nearest. The distance is taken to the row itself, so a row that the mechanism moved into its region first
//!    is no special case.
//!    By the same argument a vector that is nearer to its own word than half of the distance to the last word of its
//!    list ([`VectorIndex::with_neighbours`]) has its nearest word in the list.
//! 2. Scores of all rows in 16-bit integers, in tiles of four vectors, of which the largest of each chunk of 64 rows is
//!    kept.
//! 3. Scores in f64 of the chunks whose largest integer is not below the best f64 score by more than the error bound
//!    of [`panels`](super::panels).

use super::VectorIndex;
use super::arithmetic::{norm, product, square_distance};
use super::lanes::{self, Kernel, LANES, Lanes};
use super::panels::{CHUNK, Panels, Scaled, TILE, Tile};

/// Vectors that share one pass over the table. Their tiles stay in the nearest cache beside a chunk, their chunks'
/// maxima, 0.8 MB for 100,000 words, in the next.
pub(super) const BLOCK: usize = 128;

impl VectorIndex {
    /// The word nearest to each of the noisy vectors in `noisy`, one after the other, that the words `originals` became.
    ///
    /// Much faster for vectors that are near to their word. One call with thousands of words is faster than many.
    ///
    /// # Panics
    /// If the three do not have the same number of words, there is no such word, or a coordinate is no number or above
    /// 10¹⁰⁰, which no mechanism's is.
    pub fn nearest_batch(&self, originals: &[u32], noisy: &[f64], nearest: &mut [u32]) {
        let dim = self.dim();
        assert_eq!(noisy.len(), originals.len() * dim, "there must be a noisy vector for each word");
        assert_eq!(nearest.len(), originals.len(), "there must be room for each word");
        let mut far = Vec::new();
        for (place, (&word, vector)) in originals.iter().zip(noisy.chunks_exact(dim)).enumerate() {
            nearest[place] = word;
            let square = square_distance(vector, self.row(word));
            if square < f64::from(self.safe_squares[word as usize]) {
                continue;
            }
            if let Some(list) = self.lists.as_ref().and_then(|lists| lists.covering(word, square)) {
                nearest[place] = self.best_of(list, vector).word;
            } else {
                assert!(
                    vector.iter().all(|x| x.abs() <= 1e100),
                    "vector {place} is no output of a mechanism"
                );
                far.push(place);
            }
        }
        let mut search = Search::new(self, Sense::Nearest);
        for places in far.chunks(BLOCK) {
            let queries: Vec<&[f64]> = places.iter().map(|&place| &noisy[place * dim..][..dim]).collect();
            search.scan(&queries);
            for (query, &place) in places.iter().enumerate() {
                nearest[place] = search.best(query, queries[query], None).word;
            }
        }
    }
}

impl VectorIndex {
    /// The word of a list with the largest score.
    fn best_of(&self, list: &[u32], vector: &[f64]) -> Best {
        let mut best = Best { word: u32::MAX, score: f64::NEG_INFINITY };
        for &word in list {
            let score = product(vector, self.row(word)) - self.half_norms[word as usize];
            if score > best.score || score == best.score && word < best.word {
                best = Best { word, score };
            }
        }
        best
    }
}

/// What a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    /// Largest y·v − ‖v‖²/2: the nearest of y.
    Nearest,
    /// Largest y·v + ‖v‖²/2: the furthest from −y.
    Furthest,
}

impl Sense {
    fn sign(self) -> f64 {
        match self {
            Self::Nearest => -1.0,
            Self::Furthest => 1.0,
        }
    }
}

/// Scores of up to [`BLOCK`] vectors, with the memory for them.
pub(super) struct Search<'a> {
    index: &'a VectorIndex,
    sense: Sense,
    /// The summand ±‖v‖²/2 of each row's sum, for the block's scale.
    summands: Vec<i32>,
    tiles: Vec<Tile>,
    scaled: Vec<Scaled>,
    /// For each query the largest sum of each chunk.
    maxima: Vec<i32>,
}

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Best {
    pub(super) word: u32,
    pub(super) score: f64,
}

impl<'a> Search<'a> {
    pub(super) fn new(index: &'a VectorIndex, sense: Sense) -> Self {
        let (summands, tiles, scaled, maxima) = Default::default();
        Self { index, sense, summands, tiles, scaled, maxima }
    }

    /// Takes the sums of all rows with all of these vectors, [`BLOCK`] at most.
    pub(super) fn scan(&mut self, queries: &[&[f64]]) {
        let panels = &self.index.panels;
        // One scale for the block, so that there is one list of summands.
        let query_scale = queries.iter().map(|query| panels.query_scale(query)).fold(f64::INFINITY, f64::min);
        self.tiles.resize(queries.len().div_ceil(TILE), Tile::new());
        self.scaled.clear();
        for (query, &vector) in queries.iter().enumerate() {
            let tile = &mut self.tiles[query / TILE];
            self.scaled.push(panels.quantise(vector, query_scale, tile, query % TILE));
        }
        let scale = self.sense.sign() * panels.sum_scale(query_scale);
        self.summands.clear();
        self.summands
            .extend(self.index.half_norms.iter().map(|half| (half * scale).round_ties_even() as i32));
        // What fills up the last chunk is never the largest.
        self.summands.resize(panels.padded_len(), i32::MIN);
        self.maxima.resize(self.tiles.len() * TILE * panels.chunks(), 0);
        let Self { summands, tiles, maxima, .. } = self;
        lanes::run(Scan { panels, summands, tiles, maxima });
    }

    /// The row with the largest score, other than `excluded`, for the block's vector `query`.
    pub(super) fn best(&self, query: usize, vector: &[f64], excluded: Option<u32>) -> Best {
        let chunks = self.index.panels.chunks();
        let maxima = &self.maxima[query * chunks..][..chunks];
        let first = excluded.map_or_else(|| largest(maxima), |word| word as usize / CHUNK);
        let mut best = Best { word: u32::MAX, score: f64::NEG_INFINITY };
        self.improve(&mut best, first, vector, excluded);
        let mut floor = self.floor(query, best.score);
        for (chunk, &sum) in maxima.iter().enumerate() {
            if sum >= floor && chunk != first {
                self.improve(&mut best, chunk, vector, excluded);
                floor = self.floor(query, best.score);
            }
        }
        best
    }

    /// The least sum that a row of this score can have.
    fn floor(&self, query: usize, score: f64) -> i32 {
        let Scaled { scale, error } = self.scaled[query];
        // A half for the rounded summand, the rest for the product, which has at most 32 bits, and for rounding down.
        // Saturates at the ends, as it should: all chunks or none but those at the top.
        ((score - error) * scale - 2.0).floor() as i32
    }

    /// Scores the rows of a chunk in f64.
    fn improve(&self, best: &mut Best, chunk: usize, vector: &[f64], excluded: Option<u32>) {
        let sign = self.sense.sign();
        let words = chunk * CHUNK..((chunk + 1) * CHUNK).min(self.index.half_norms.len());
        for word in words {
            let score = product(vector, self.index.row(word as u32)) + sign * self.index.half_norms[word];
            let word = word as u32;
            if (score > best.score || score == best.score && word < best.word) && Some(word) != excluded {
                *best = Best { word, score };
            }
        }
    }

    /// How far the scores of this vector can be off the real numbers.
    pub(super) fn rounding_error(&self, vector: &[f64]) -> f64 {
        self.index.panels.rounding_error(norm(vector))
    }
}

/// The first place of the largest number.
fn largest(numbers: &[i32]) -> usize {
    let mut best = 0;
    for (place, number) in numbers.iter().enumerate() {
        if *number > numbers[best] {
            best = place;
        }
    }
    best
}

/// One pass over the table: chunk by chunk, all tiles.
struct Scan<'a> {
    panels: &'a Panels,
    summands: &'a [i32],
    tiles: &'a [Tile],
    maxima: &'a mut [i32],
}

impl Kernel for Scan<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let chunks = self.panels.chunks();
        let (summands, _) = self.summands.as_chunks::<LANES>();
        for (chunk, summands) in summands.chunks_exact(CHUNK / LANES).enumerate() {
            for (tile, queries) in self.tiles.iter().enumerate() {
                let mut largest = [L::from_array(&[i32::MIN; LANES]); TILE];
                self.panels.for_each_group(
                    chunk,
                    queries,
                    |group| L::from_array(&summands[group]),
                    |_, sums| (0..TILE).for_each(|query| largest[query] = largest[query].max(sums[query])),
                );
                for (query, largest) in largest.into_iter().enumerate() {
                    let maximum = largest.to_array().into_iter().fold(i32::MIN, i32::max);
                    self.maxima[(tile * TILE + query) * chunks + chunk] = maximum;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
