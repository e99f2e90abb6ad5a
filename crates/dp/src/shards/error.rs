//! Why a step cannot be split into shards, or its shards not be put together.

use super::ShardId;

/// A number of shards that does not fit the run, or shards that do not make up a step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// No shard at all, or more than there can be.
    #[error("the number of shards is {0}: give 1 to {max}", max = super::MAX_SHARDS)]
    Count(u32),
    /// A shard that the step does not have.
    #[error("there is no shard {index} of {count}: shards are counted from 0")]
    Index {
        /// The shard asked for.
        index: u32,
        /// Shards of a step.
        count: u32,
    },
    /// A step that the run does not have.
    #[error("there is no step {step} in a run of {steps} steps: steps are counted from 0")]
    Step {
        /// The step asked for.
        step: u64,
        /// Steps of the run.
        steps: u64,
    },
    /// The noise is too little to be split so far.
    #[error("a noise multiplier of {noise} cannot be split over {count} shards: take at most {max}")]
    TooLittleNoise {
        /// The plan's noise multiplier, of gradients or losses.
        noise: f64,
        /// Shards of a step.
        count: u32,
        /// The most shards that it can be split over.
        max: u32,
    },
    /// A shard of another step, or of a step that was split otherwise.
    #[error("{found} was given for step {step} of {count} shards: give the shards of that step")]
    OtherStep {
        /// What was given.
        found: ShardId,
        /// The step to be made.
        step: u64,
        /// Its shards.
        count: u32,
    },
    /// A shard that was given before.
    #[error("{0} was given twice: give each shard once")]
    Twice(ShardId),
    /// A shard that was not given.
    #[error("{0} is missing: give all shards of the step")]
    Missing(ShardId),
    /// A shard of another model or adapter.
    #[error("{id} has {found} values instead of {wanted}: give the shards of this run")]
    Dimension {
        /// The shard.
        id: ShardId,
        /// Its values.
        found: usize,
        /// Trained values of the run.
        wanted: usize,
    },
    /// A shard of a plan that pays for losses where this one does not, or the other way round.
    #[error(
        "{0} has a loss where the plan pays for none, or none where it does: give the shards of this run"
    )]
    Loss(ShardId),
    /// The values are larger than any that training gives.
    #[error("the values up to {0} add up to more than 63 bits: the shards are corrupt, make them again")]
    Overflow(ShardId),
}
