//! What can be wrong with a language model or a call to it.

use super::MAX_WEIGHT_BYTES;
use crate::Shown;

/// Why a language model cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LanguageModelError {
    /// The weights are over [`MAX_WEIGHT_BYTES`].
    #[error(
        "the model's weights have {bytes} bytes, and at most {MAX_WEIGHT_BYTES} (32 MiB) are taken here: \
         choose a smaller model for the attack, such as demo-llama-4m"
    )]
    TooLarge {
        /// Size of the weights file.
        bytes: usize,
    },
    /// `config.json` is no JSON, lacks a key, or contradicts itself.
    #[error("the model's config.json cannot be used ({}): fetch the model again", Shown(.0))]
    Config(String),
    /// A model of another kind.
    #[error(
        "the model uses {}, and the attack can use {supported} alone: choose another model for it", Shown(.found)
    )]
    Unsupported {
        /// What the model asks for.
        found: String,
        /// What would work.
        supported: &'static str,
    },
    /// The weights are no safetensors file, or a damaged one.
    #[error("the model's weights cannot be read ({}): fetch model.safetensors again", Shown(.0))]
    Corrupt(String),
    /// A tensor that the configuration asks for is absent.
    #[error("the model's weights lack the tensor {0}: fetch config.json and model.safetensors of one model")]
    MissingTensor(String),
    /// A tensor that the configuration does not know.
    #[error(
        "the model's weights hold the tensor {}, which its config.json does not speak of: \
         fetch config.json and model.safetensors of one model",
        Shown(.0)
    )]
    UnknownTensor(String),
    /// A tensor has another shape than the configuration says.
    #[error(
        "the tensor {name} has the shape {} instead of {expected:?}: \
         fetch config.json and model.safetensors of one model",
        Shown(&format!("{found:?}"))
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A number format other than F32, F16 and BF16.
    #[error("the tensor {name} is stored as {format}: give the model in F32, F16 or BF16")]
    Format {
        /// The tensor.
        name: String,
        /// The format in the file.
        format: String,
    },
    /// A weight that is no number.
    #[error("the tensor {0} has a value that is infinite or not a number: fetch model.safetensors again")]
    NotFinite(String),
    /// The embeddings and the head are said to be one matrix, and two different ones are stored.
    #[error(
        "the model's config.json says that embeddings and head are one matrix, but two are stored: fetch it again"
    )]
    TiedDiffer,
    /// A token that the model does not know.
    #[error("the token {token} is not one of the model's {vocab_size}: use the model's own tokenizer")]
    Token {
        /// The token.
        token: u32,
        /// Tokens that the model knows.
        vocab_size: usize,
    },
    /// More tokens than the model has positions.
    #[error("{length} tokens are more than the {limit} positions of the model: give it shorter pieces")]
    TooLong {
        /// Tokens asked for.
        length: usize,
        /// Positions of the model.
        limit: usize,
    },
    /// A cache of a model of another shape.
    #[error("the cache was filled by another model: begin with an empty one")]
    ForeignCache,
}
