//! What can go wrong; each message says what to do.

/// Why training cannot start, go on, or be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Word2VecError {
    /// A setting outside of its range.
    #[error("{name} is {value}, and must be {range}: change it in the configuration")]
    Setting {
        /// Field of [`Config`](crate::Config).
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would do.
        range: &'static str,
    },
    /// The text cannot be read.
    #[error("the corpus cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A word that is no UTF-8.
    #[error("the corpus has bytes that are no UTF-8, near word {word}: convert the file to UTF-8")]
    NotUtf8 {
        /// The word's place in the text, from 0.
        word: u64,
    },
    /// Too few different words to draw negatives from.
    #[error(
        "only {found} different words occur {min_count} times or more: give a longer text or a lower minimum count"
    )]
    Vocabulary {
        /// Words left.
        found: usize,
        /// The minimum count.
        min_count: u64,
    },
    /// More text than the clock of the lazy optimiser can count.
    #[error("{epochs} epochs of {words} words are more than one run can count: train fewer epochs")]
    TooLong {
        /// Words of one epoch.
        words: usize,
        /// Epochs asked for.
        epochs: u32,
    },
    /// No checkpoint, or a damaged one.
    #[error("the checkpoint is damaged or cut short ({0}): resume from an older one or start anew")]
    CorruptCheckpoint(&'static str),
    /// A checkpoint of something else.
    #[error("the checkpoint was made with another {0}: give the same, or start anew")]
    CheckpointMismatch(&'static str),
    /// An evaluation file with a line that has no meaning.
    #[error("line {line} of the evaluation set is malformed ({reason}): give a file in the documented form")]
    EvaluationSet {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Vectors whose parts do not fit together.
    #[error(
        "{words} words, {counts} counts and {values} values do not make vectors of {dim} dimensions: read the same file again"
    )]
    Shape {
        /// Words given.
        words: usize,
        /// Counts given.
        counts: usize,
        /// Numbers given.
        values: usize,
        /// Numbers a word.
        dim: usize,
    },
}
