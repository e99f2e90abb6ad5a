//! Why training cannot start, go on, or be resumed.

use perturb::Shown;

use crate::channel::CorrectionError;
use crate::lora::LoraError;
use crate::model::ModelError;

/// A failure of the trainer.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The model cannot compute what was asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The adapter's shape cannot be used.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// The channel of the records cannot be corrected for.
    #[error(transparent)]
    Correction(#[from] CorrectionError),
    /// A setting is out of range.
    #[error("{setting} is {value}, but must be {allowed}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        allowed: &'static str,
    },
    /// The privacy plan was made for other data.
    #[error(
        "the privacy plan is for {planned} records, but the data has {found}: calibrate it for this data"
    )]
    PlanForOtherData {
        /// Records that the plan counts on.
        planned: usize,
        /// Records that are there.
        found: usize,
    },
    /// The privacy plan counts records of another kind than the data was split into.
    #[error("the privacy plan protects one {planned:?}, but the data was split by {found:?}")]
    PlanForOtherUnit {
        /// Unit of the plan.
        planned: dp::PrivacyUnit,
        /// Unit of the data.
        found: dp::PrivacyUnit,
    },
    /// The records were prepared with chunks longer than this run allows.
    #[error("the records hold a chunk of {found} tokens, but max_length is {max_length}")]
    ChunkTooLong {
        /// Longest chunk.
        found: usize,
        /// The limit of the run.
        max_length: usize,
    },
    /// A token that the model's vocabulary does not have.
    #[error("the records hold the token {token}, but the model's vocabulary ends at {vocab_size}")]
    TokenOutOfRange {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// Nothing to train on.
    #[error("the data holds no records")]
    NoRecords,
    /// The adapter to start from has another shape than the run's.
    #[error(
        "the adapter to start from has {setting} {adapter}, but this run has {run}: give the run the adapter's own {setting}"
    )]
    OtherAdapter {
        /// What differs.
        setting: &'static str,
        /// The adapter's.
        adapter: String,
        /// The run's.
        run: String,
    },
    /// The adapter to start from was made for a model of another shape.
    #[error("the adapter to start from was made for another model: its matrices do not fit this one's")]
    AdapterOfOtherModel,
    /// All steps of the plan are done; a further one would not be accounted for.
    #[error("all {0} steps of this run are done")]
    Finished(u64),
    /// A loss, gradient or parameter became NaN or infinite.
    #[error("training diverged in step {step}: lower the learning rate")]
    Diverged {
        /// The step, counted from 0.
        step: u64,
    },
    /// Steps that no privacy plan splits.
    #[error("only steps of DP-SGD can be split into shards: train on one machine, or with a privacy plan")]
    NotSharded,
    /// The shards do not make up a step of this run.
    #[error(transparent)]
    Shard(#[from] dp::ShardError),
    /// The bytes are not a shard's.
    #[error("the file of a shard is corrupt or truncated: {0}; make the shard again")]
    CorruptShard(String),
    /// The shard belongs to another run, or to this one at another place.
    #[error("the shard was made with another {0}: make it again from the run's last checkpoint")]
    ShardMismatch(&'static str),
    /// The checkpoint's bytes are not a checkpoint.
    #[error("the checkpoint is corrupt or truncated: {}", Shown(.0))]
    CorruptCheckpoint(String),
    /// The checkpoint belongs to another run.
    #[error("the checkpoint was made with another {0}: resume with what it was made with, or start anew")]
    CheckpointMismatch(&'static str),
}
