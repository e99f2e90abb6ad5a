//! Training: configuration, the DP-SGD step, the optimiser and checkpoints.

mod checkpoint;
mod config;
mod container;
mod error;
mod fit;
mod mechanism;
mod optimizer;
mod shard_file;
mod trainer;

pub use config::{
    DEFAULT_MAX_CHUNKS, DEFAULT_MAX_LENGTH, LearningRate, Precision, Privacy, Schedule, TrainingConfig,
};
pub use error::TrainError;
#[cfg(feature = "audit")]
pub use mechanism::{Accumulate, PoissonGaussian, StepMechanism};
pub use optimizer::{DEFAULT_MOMENTUM, Optimizer};
pub use trainer::Trainer;
