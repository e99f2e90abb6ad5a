//! What can be wrong with a model folder, each with what to do about it.

use perturb::Shown;

/// A model that cannot be read, is not supported, or was asked for something it cannot compute.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the model folder is missing.
    #[error("{file} is missing from the model folder {folder}: download the whole model again")]
    MissingFile {
        /// Name of the file.
        file: String,
        /// The folder that was searched.
        folder: String,
    },
    /// A file exists but cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A JSON file of the model folder is not what it should be.
    #[error("{file} cannot be used: {}", Shown(.reason))]
    Config {
        /// Name of the file.
        file: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is of a kind that this crate does not implement.
    #[error("this model uses {}, which is not supported; supported: {supported}", Shown(.found))]
    Unsupported {
        /// What the model asks for.
        found: String,
        /// What would work.
        supported: String,
    },
    /// A weights file is truncated or is not safetensors.
    #[error("{file} is corrupt or truncated ({}): download it again", Shown(.reason))]
    CorruptWeights {
        /// Name of the weights file.
        file: String,
        /// What the safetensors reader said.
        reason: String,
    },
    /// A tensor that the architecture needs is absent.
    #[error("the weights lack the tensor {name}")]
    MissingTensor {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor is there that the architecture does not have.
    #[error(
        "the weights hold the tensor {}, which a model of this configuration does not have; \
         supported: {supported}",
        Shown(.name)
    )]
    UnknownTensor {
        /// Name of the tensor.
        name: String,
        /// Names of the tensors that it has.
        supported: String,
    },
    /// A tensor stands twice in the weights.
    #[error("the tensor {} stands in more than one weights file", Shown(.name))]
    DuplicateTensor {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor does not have the shape that the configuration says.
    #[error(
        "the tensor {name} has shape {}, but the configuration says {expected:?}", Shown(&format!("{found:?}"))
    )]
    WrongShape {
        /// Name of the tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a number format other than f32, f16 and bf16.
    #[error("the tensor {name} is stored as {dtype}; supported: F32, F16, BF16")]
    UnsupportedDtype {
        /// Name of the tensor.
        name: String,
        /// The format in the file.
        dtype: String,
    },
    /// A weight is NaN or infinite.
    #[error("the tensor {name} holds a value that is not finite: the model file is damaged")]
    NotFinite {
        /// Name of the tensor.
        name: String,
    },
    /// A sequence is longer than the model can place.
    #[error("a sequence of {length} tokens is longer than the {limit} positions of the model")]
    SequenceTooLong {
        /// Tokens asked for.
        length: usize,
        /// Positions that the model or the table has.
        limit: usize,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(Box<candle_core::Error>),
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(Box::new(error))
    }
}
