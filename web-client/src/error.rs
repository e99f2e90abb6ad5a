//! What can go wrong between a file and its perturbed tokens.

use dp::DpError;
use perturb::text::{InputError, MAX_TEXT_BYTES};
use perturb::{ChannelError, PerturbError, TableError, TokenizerError};

/// Why the page's work could not be done. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum WorkbenchError {
    /// The file cannot be taken.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The model's tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model's neighbour table cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// ε does not suit the model.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// An ε or δ that is none.
    #[error(transparent)]
    Parameter(#[from] DpError),
    /// Perturbing failed.
    #[error(transparent)]
    Perturb(#[from] PerturbError),
    /// An attack on the text cannot be tried.
    #[error(transparent)]
    Attack(#[from] perturb::attack::AttackError),
    /// A privacy unit that is not known.
    #[error("`{0}` is not a privacy unit: choose line, paragraph or json-record")]
    Unit(String),
    /// No text was checked yet, or the last one was refused.
    #[error("there is no text yet: choose a file first")]
    NoText,
    /// `perturb_chunk` or `finish` without `begin`.
    #[error("nothing is being perturbed: start again")]
    NotBegun,
    /// The perturbed tokens take more bytes than the service accepts.
    #[error(
        "the scrambled text takes {bytes} bytes, and at most {MAX_TEXT_BYTES} (20 MiB) can be sent: split the file into several"
    )]
    UploadTooLarge {
        /// Size of the file to upload.
        bytes: usize,
    },
}
