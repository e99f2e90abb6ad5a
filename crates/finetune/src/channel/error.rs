//! Why a channel cannot be corrected for.

/// A channel, its tables or a model that do not go together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CorrectionError {
    /// A vocabulary or table other than the one the file was perturbed with.
    #[error(
        "the file was perturbed with another {what} than this model's: perturb the text again with the model that is to be trained"
    )]
    OtherDigest {
        /// What differs.
        what: &'static str,
    },
    /// A mechanism whose probabilities have more than two values.
    #[error(
        "there is a correction for set-rr and k-rr only: perturb with one of them, or train with the correction off"
    )]
    NotTwoLevel,
    /// Mechanism, vocabulary and table contradict one another.
    #[error(transparent)]
    Channel(#[from] perturb::ChannelError),
    /// A vocabulary that reaches beyond the model's.
    #[error("the tokenizer has the token {max_id}, but the model's vocabulary ends at {vocab_size}")]
    Vocabulary {
        /// Largest id that passes the channel.
        max_id: u32,
        /// Ids of the model.
        vocab_size: usize,
    },
    /// A prior that is no distribution over the ids.
    #[error(
        "the prior has {found} weights: give one for each of the {vocab_size} ids, none negative, and some positive"
    )]
    Prior {
        /// Weights given.
        found: usize,
        /// Ids of the model.
        vocab_size: usize,
    },
    /// Passes out of range.
    #[error("passes is {passes}, but must be from 1 to {max}", max = super::MAX_PASSES)]
    Passes {
        /// The number asked for.
        passes: u32,
    },
}
