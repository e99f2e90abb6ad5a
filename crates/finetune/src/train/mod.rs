//! Training: configuration, the DP-SGD step, the optimiser and checkpoints.

mod adamw;
mod checkpoint;
mod config;
mod error;
mod mechanism;
mod trainer;

pub use config::{DEFAULT_MAX_CHUNKS, DEFAULT_MAX_LENGTH, LearningRate, Privacy, Schedule, TrainingConfig};
pub use error::TrainError;
#[cfg(feature = "audit")]
pub use mechanism::{Accumulate, PoissonGaussian, StepMechanism};
pub use trainer::Trainer;
