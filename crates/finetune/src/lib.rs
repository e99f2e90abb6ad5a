//! Private LoRA fine-tuning of causal language models on candle.
//!
//! ```text
//! ModelFiles ─▶ BaseModel ──┐
//!                           ├─▶ Trainer::step … ─▶ checkpoint, Adapter ─▶ PEFT files | merge
//! bytes ─▶ Records ─────────┘         │
//!                                     └─ GradientEngine: one record's gradient, on one thread
//! ```
//!
//! - [`model`]: files, configuration, weights, forward pass
//! - [`lora`]: shape and place of an adapter's values
//! - [`records`]: the owner's records as token sequences
//! - [`chat`]: chats as token sequences, by the model's template
//! - [`channel`]: what the trainer knows of the channel that perturbed them
//! - [`gradient`]: the gradient of one record
//! - [`train`]: the DP-SGD loop and its checkpoints
//! - [`adapter`]: PEFT files and merging
//! - [`evaluate()`] and [`generate()`]

pub mod adapter;
pub mod channel;
pub mod chat;
mod engine;
mod evaluate;
mod generate;
pub mod gradient;
pub mod lora;
pub mod model;
mod ops;
mod parallel;
pub mod records;
pub mod train;

#[cfg(test)]
mod fixtures;

pub use adapter::{Adapter, AdapterError, merge};
pub use channel::{ChannelCorrection, Context, Correction, CorrectionError};
pub use chat::{ChatError, ChatFormat};
pub use engine::{MemoryEstimate, operations, processor_rate};
pub use evaluate::{Evaluation, evaluate};
pub use generate::{GenerateError, GenerateOptions, generate};
pub use lora::{ALL_LINEAR, LoraConfig, LoraError};
pub use model::{BaseModel, ModelConfig, ModelError, ModelFiles};
pub use records::{Chunk, DataError, RecordOptions, Records, Sequence};
#[cfg(feature = "audit")]
pub use train::{Accumulate, PoissonGaussian, StepMechanism};
pub use train::{
    DEFAULT_MAX_CHUNKS, DEFAULT_MAX_LENGTH, DEFAULT_MOMENTUM, LearningRate, Optimizer, Precision, Privacy,
    Schedule, TrainError, Trainer, TrainingConfig,
};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
