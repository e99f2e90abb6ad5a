//! Training: configuration, the DP-SGD step, the optimiser and checkpoints.

mod adamw;
mod checkpoint;
mod clipping;
mod config;
mod error;
mod trainer;

pub use config::{DEFAULT_MAX_CHUNKS, DEFAULT_MAX_LENGTH, LearningRate, Privacy, Schedule, TrainingConfig};
pub use error::TrainError;
pub use trainer::Trainer;
