//! Settings of the `dp_lora` method: what a client may ask for, checked once, with a default for everything.
//!
//! A [`DpLora`] can only be built valid: [`DpLoraRequest::validate`] is the one way in, also when a stored job is read back.

use crate::checks::{
    below_one, delta, duration, epsilon, integer, number, optimizer, target_modules, warmup_steps,
};
pub use crate::choices::{Correction, Optimizer, OptimizerName, Precision, Schedule};
use crate::error::ApiError;
use dp::{Clipping, Delta, DpError, DpSgdPlan, Epsilon, PlanRequest, PrivacyUnit, default_delta};
use serde::{Deserialize, Serialize};

/// The linear layers a LoRA adapter can attach to, by PEFT's names, of all model families: those of Llama and its like, what Phi-3
/// has in their place, and GPT-2's.
pub const TARGET_MODULES: [&str; 14] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
    "qkv_proj",
    "gate_up_proj",
    "c_attn",
    "attn.c_proj",
    "c_fc",
    "mlp.c_proj",
    "c_proj",
];

/// As `target_modules`: the linear layers of the attention, whatever the model's family calls them; the default.
pub const ATTENTION: &str = "attention";

/// As `target_modules`: every linear layer of the transformer's blocks.
pub const ALL_LINEAR: &str = "all-linear";

/// Share of the last direction that SGD keeps unless set otherwise: what most use.
pub const DEFAULT_MOMENTUM: f64 = 0.9;

/// The largest ε of training that is accepted. Beyond it the guarantee says nothing (e^20 is about 5e8), and a certificate would mislead.
pub const MAX_EPSILON: f64 = 20.0;

/// The most functions that may work on one job. Beyond it the adding up of their sums takes longer than their work.
pub const MAX_WORKERS: u32 = 256;

/// Settings as a client sends them: all optional, unknown names refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpLoraRequest {
    /// Target ε of training, for the whole job; default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// δ of training; default from the number of records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// What one unit of privacy is; default `line`. A file of perturbed tokens says its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_unit: Option<PrivacyUnit>,
    /// LoRA rank; default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// LoRA alpha; default twice the rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Whether updates are scaled by alpha/√rank in place of alpha/rank; default no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_rslora: Option<bool>,
    /// Layers that get an adapter, or `all-linear` or `attention` alone; default `attention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_modules: Option<Vec<String>>,
    /// Expected number of records in a step (Poisson sampling); default 64, at most the number of records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Number of steps; exclusive with `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Expected passes over the records; default 3; exclusive with `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Peak learning rate; default 0.002.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Steps in which the learning rate rises to its peak; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Course of the learning rate after that; default `linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What turns a step's gradient into an update; default `adamw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerName>,
    /// Momentum of `sgd`; default 0.9. Not with `adamw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Decoupled weight decay; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// L2 norm that each record's gradient is clipped to; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
    /// How a gradient is brought within that norm; default `flat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipping: Option<Clipping>,
    /// Arithmetic of the frozen model; default `f32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Tokens of one training sequence; default 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Sequences a long record is cut into, at most; what is beyond is dropped and counted; default 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chunks_per_record: Option<u32>,
    /// Whether to release a noisy loss of each step, paid for out of the same ε; default no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_curve: Option<bool>,
    /// How training on perturbed tokens allows for their channel; default [`Correction::default`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// How many functions work on each step at once, each on its shard of the batch; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
}

/// How long training runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duration {
    /// A number of steps.
    Steps(u64),
    /// Expected passes over the records.
    Epochs(f64),
}

impl Duration {
    /// Number of steps for `records` records and an expected batch of `batch_size`; at least 1.
    pub fn steps(self, records: usize, batch_size: usize) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            // Validation bounds epochs and records, so the product is far below 2^53 and the cast is exact enough.
            Self::Epochs(epochs) => ((epochs * records as f64 / batch_size as f64).ceil() as u64).max(1),
        }
    }
}

/// Valid settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DpLoraRequest", into = "DpLoraRequest")]
pub struct DpLora {
    /// Target ε.
    pub epsilon: Epsilon,
    /// δ, or none for the default by number of records.
    pub delta: Option<Delta>,
    /// Unit of privacy.
    pub privacy_unit: PrivacyUnit,
    /// LoRA rank.
    pub rank: u32,
    /// LoRA alpha.
    pub alpha: f64,
    /// Whether updates are scaled by alpha/√rank.
    pub use_rslora: bool,
    /// PEFT names, or [`ALL_LINEAR`] or [`ATTENTION`] alone.
    pub target_modules: Vec<String>,
    /// Expected batch size.
    pub batch_size: u32,
    /// Steps or epochs.
    pub duration: Duration,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps until the peak.
    pub warmup_steps: u64,
    /// Course after the peak.
    pub schedule: Schedule,
    /// What turns a gradient into an update.
    pub optimizer: Optimizer,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Clipping norm.
    pub max_grad_norm: f64,
    /// How gradients are brought within it.
    pub clipping: Clipping,
    /// Arithmetic of the frozen model.
    pub precision: Precision,
    /// Tokens of a sequence.
    pub max_length: u32,
    /// Sequences of a record.
    pub max_chunks_per_record: u32,
    /// Whether each step's loss is released, with noise.
    pub loss_curve: bool,
    /// How training allows for the channel.
    pub correction: Correction,
    /// Shards of each step's batch, each the work of one function.
    pub workers: u32,
}

impl DpLora {
    /// The plan of a run with these settings on `records` records of `unit`. It follows from its arguments alone.
    ///
    /// # Errors
    /// A [`DpError`] when the target cannot be met.
    pub fn plan(&self, records: usize, unit: PrivacyUnit) -> Result<DpSgdPlan, DpError> {
        let expected_batch_size = self.expected_batch_size(records);
        DpSgdPlan::calibrate(PlanRequest {
            records,
            expected_batch_size,
            steps: self.duration.steps(records, expected_batch_size),
            max_grad_norm: self.max_grad_norm,
            target_epsilon: self.epsilon,
            delta: self.delta.unwrap_or_else(|| default_delta(records)),
            unit,
            release_losses: self.loss_curve,
        })
    }

    /// The batch size asked for, or all of `records` if there are fewer.
    pub fn expected_batch_size(&self, records: usize) -> usize {
        (self.batch_size as usize).min(records)
    }
}

impl DpLoraRequest {
    /// Fills in defaults and checks every value.
    ///
    /// # Errors
    /// An [`ApiError`] (400) that names the setting and the values it may take.
    pub fn validate(self) -> Result<DpLora, ApiError> {
        let rank = integer("rank", self.rank, 8, 1, 256)?;
        Ok(DpLora {
            epsilon: epsilon(self.epsilon)?,
            delta: self.delta.map(delta).transpose()?,
            privacy_unit: self.privacy_unit.unwrap_or(PrivacyUnit::Line),
            rank,
            alpha: number("alpha", self.alpha, 2.0 * f64::from(rank), 1e-3, 1e4)?,
            use_rslora: self.use_rslora.unwrap_or(false),
            target_modules: target_modules(self.target_modules)?,
            batch_size: integer("batch_size", self.batch_size, 64, 1, 65_536)?,
            duration: duration(self.steps, self.epochs)?,
            learning_rate: number("learning_rate", self.learning_rate, 2e-3, 1e-8, 1.0)?,
            warmup_steps: warmup_steps(self.warmup_steps)?,
            schedule: self.schedule.unwrap_or_default(),
            optimizer: optimizer(self.optimizer.unwrap_or_default(), self.momentum)?,
            weight_decay: below_one("weight_decay", self.weight_decay.unwrap_or(0.0))?,
            max_grad_norm: number("max_grad_norm", self.max_grad_norm, 1.0, 1e-6, 1e6)?,
            clipping: self.clipping.unwrap_or_default(),
            precision: self.precision.unwrap_or_default(),
            max_length: integer("max_length", self.max_length, 128, 2, 8192)?,
            max_chunks_per_record: integer("max_chunks_per_record", self.max_chunks_per_record, 4, 1, 1024)?,
            loss_curve: self.loss_curve.unwrap_or(false),
            correction: self.correction.unwrap_or_default(),
            workers: integer("workers", self.workers, 1, 1, MAX_WORKERS)?,
        })
    }
}

impl TryFrom<DpLoraRequest> for DpLora {
    type Error = ApiError;
    fn try_from(request: DpLoraRequest) -> Result<Self, ApiError> {
        request.validate()
    }
}

impl From<DpLora> for DpLoraRequest {
    fn from(valid: DpLora) -> Self {
        let (steps, epochs) = match valid.duration {
            Duration::Steps(steps) => (Some(steps), None),
            Duration::Epochs(epochs) => (None, Some(epochs)),
        };
        let (optimizer, momentum) = match valid.optimizer {
            Optimizer::Adamw => (OptimizerName::Adamw, None),
            Optimizer::Sgd { momentum } => (OptimizerName::Sgd, Some(momentum)),
        };
        Self {
            epsilon: Some(valid.epsilon.get()),
            delta: valid.delta.map(Delta::get),
            privacy_unit: Some(valid.privacy_unit),
            rank: Some(valid.rank),
            alpha: Some(valid.alpha),
            use_rslora: Some(valid.use_rslora),
            target_modules: Some(valid.target_modules),
            batch_size: Some(valid.batch_size),
            steps,
            epochs,
            learning_rate: Some(valid.learning_rate),
            warmup_steps: Some(valid.warmup_steps),
            schedule: Some(valid.schedule),
            optimizer: Some(optimizer),
            momentum,
            weight_decay: Some(valid.weight_decay),
            max_grad_norm: Some(valid.max_grad_norm),
            clipping: Some(valid.clipping),
            precision: Some(valid.precision),
            max_length: Some(valid.max_length),
            max_chunks_per_record: Some(valid.max_chunks_per_record),
            loss_curve: Some(valid.loss_curve),
            correction: Some(valid.correction),
            workers: (valid.workers > 1).then_some(valid.workers),
        }
    }
}

#[cfg(test)]
#[path = "hyperparameters_tests.rs"]
mod tests;
