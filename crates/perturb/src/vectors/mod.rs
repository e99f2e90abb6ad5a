//! Words as vectors: the nearest word of a noisy vector, and draws by distance, at the speed of integer vectors.
//!
//! Two channels over words need a pass over the whole table for each word. The vector mechanisms
//! ([`VectorGaussian`](dp::mechanism::VectorGaussian), [`VectorLaplace`](dp::mechanism::VectorLaplace)) release the
//! word nearest to a noisy vector: [`VectorIndex::nearest_batch`]. The exponential mechanism draws a word with a weight
//! that falls with its distance: [`ExponentialSampler`].
//!
//! Both first take all scores in 16-bit integers with a measured bound on their error, and then look in f64 at the few
//! rows that could matter. So results are those of the definitions, ties included, and the same on every host; only
//! the time depends on the processor. Privacy rests on neither: the search is post-processing of the noisy vector, and
//! the sampler accepts and rejects by the mechanism's own integer weights.
//!
//! Not hidden: the time that a word takes.
//!
//! Reading order: [`VectorIndex`] → `panels` → [`VectorIndex::nearest_batch`] → [`ExponentialSampler`].

mod arithmetic;
mod exponential;
mod index;
mod lanes;
mod panels;
mod search;
mod spread;
#[cfg(test)]
mod test_tables;

pub use exponential::ExponentialSampler;
pub use index::{MAX_DIMENSION, MAX_WORDS, VectorIndex};

/// Why a table of vectors cannot be searched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Vectors of no coordinate, or of too many.
    #[error("the vectors have {0} coordinates: give 1 to {MAX_DIMENSION}")]
    Dimension(usize),
    /// Too few or too many words, or a row that is cut short.
    #[error("{values} values are no table of 2 to {MAX_WORDS} vectors of {dim} coordinates")]
    Values {
        /// Numbers given.
        values: usize,
        /// Numbers a row.
        dim: usize,
    },
    /// A coordinate outside of the box.
    #[error(
        "a coordinate of word {word} is {value}, not in -1 to 1: divide the table by its largest coordinate"
    )]
    Coordinate {
        /// The word.
        word: u32,
        /// Its coordinate.
        value: f32,
    },
    /// Nearest distances that do not belong to the table.
    #[error("{distances} nearest distances do not belong to {words} words, or one of them is no distance")]
    Distances {
        /// Distances given.
        distances: usize,
        /// Words in the table.
        words: u32,
    },
    /// A mechanism over another number of words.
    #[error("the mechanism is over {domain} items, the table has {words} words: give them the same number")]
    Domain {
        /// Items of the mechanism.
        domain: u32,
        /// Words in the table.
        words: u32,
    },
}
