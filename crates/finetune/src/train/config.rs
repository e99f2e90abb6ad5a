//! The settings of a training run.

use dp::{Clipping, DpSgdPlan};
use serde::{Deserialize, Serialize};

use super::{Optimizer, TrainError};
use crate::channel::{Context, Correction, CorrectionError, MAX_PASSES};
use crate::lora::LoraConfig;

/// Tokens of one sequence unless set otherwise: long enough for a line or a short paragraph, cheap enough for a CPU.
pub const DEFAULT_MAX_LENGTH: usize = 128;
/// Sequences of one record unless set otherwise: bounds what one long record costs.
pub const DEFAULT_MAX_CHUNKS: usize = 4;

/// All settings of a training run.
///
/// Settings that came later are left out of the JSON where they have their default: the text is part of a checkpoint's identity, and
/// a run that was begun before they existed must go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Shape of the adapter.
    pub lora: LoraConfig,
    /// Step size and its course.
    pub learning_rate: LearningRate,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What turns a step's gradient into an update.
    #[serde(default, skip_serializing_if = "Optimizer::is_default")]
    pub optimizer: Optimizer,
    /// How each record's gradient is brought within the plan's norm; without effect without privacy, where nothing is clipped.
    #[serde(default, skip_serializing_if = "Clipping::is_default")]
    pub clipping: Clipping,
    /// The arithmetic of the frozen model's matrix products.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Tokens of one sequence.
    pub max_length: usize,
    /// Sequences kept of one record.
    pub max_chunks_per_record: usize,
    /// Worker threads. Does not change the result, so a run may be resumed with another number.
    pub threads: usize,
    /// How training allows for the channel that the records passed; without effect on text in clear.
    #[serde(default)]
    pub correction: Correction,
    /// How batches are drawn and what protects them.
    pub privacy: Privacy,
}

impl TrainingConfig {
    /// The defaults for everything but privacy.
    pub fn new(privacy: Privacy) -> Self {
        Self {
            lora: LoraConfig::default(),
            learning_rate: LearningRate { peak: 1e-3, warmup_steps: 0, schedule: Schedule::Linear },
            weight_decay: 0.0,
            optimizer: Optimizer::default(),
            clipping: Clipping::default(),
            precision: Precision::default(),
            max_length: DEFAULT_MAX_LENGTH,
            max_chunks_per_record: DEFAULT_MAX_CHUNKS,
            threads: 1,
            correction: Correction::default(),
            privacy,
        }
    }

    pub(crate) fn check(&self, positions: usize) -> Result<(), TrainError> {
        let range = |setting, value: String, allowed| Err(TrainError::Setting { setting, value, allowed });
        let (rate, decay) = (self.learning_rate.peak, self.weight_decay);
        if !(rate.is_finite() && rate > 0.0) {
            return range("learning_rate", rate.to_string(), "a positive number");
        }
        if !(0.0..1.0).contains(&decay) {
            return range("weight_decay", decay.to_string(), "from 0 to below 1");
        }
        if let Optimizer::Sgd { momentum } = self.optimizer
            && !(0.0..1.0).contains(&momentum)
        {
            return range("momentum", momentum.to_string(), "from 0 to below 1");
        }
        if self.max_length < 2 || self.max_length > positions {
            let allowed = "from 2 to the model's max_position_embeddings";
            return range("max_length", self.max_length.to_string(), allowed);
        }
        if self.max_chunks_per_record == 0 {
            return range("max_chunks_per_record", "0".into(), "at least 1");
        }
        if self.threads == 0 {
            return range("threads", "0".into(), "at least 1");
        }
        if let Correction::Forward { context: Context::Denoised { passes } } = self.correction
            && !(1..=MAX_PASSES).contains(&passes)
        {
            return Err(CorrectionError::Passes { passes }.into());
        }
        self.privacy.check()
    }
}

/// The arithmetic of the frozen model's matrix products. What is trained, its gradient and the noise are f32 and finer in either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16 products, added up in f32.
    Bf16,
}

impl Precision {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Protection of the records, with what belongs to it: sampling, steps and noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// DP-SGD: Poisson batches, clipped per-record gradients, Gaussian noise, all from one plan.
    DpSgd(DpSgdPlan),
    /// No protection: shuffled batches of a fixed size, no clipping, no noise.
    NonPrivate {
        /// Records of one batch.
        batch_size: usize,
        /// Steps of the whole run.
        steps: u64,
    },
}

impl Privacy {
    /// Steps of the whole run.
    pub fn steps(&self) -> u64 {
        match self {
            Self::DpSgd(plan) => plan.steps(),
            Self::NonPrivate { steps, .. } => *steps,
        }
    }

    fn check(&self) -> Result<(), TrainError> {
        match self {
            Self::NonPrivate { batch_size: 0, .. } => {
                Err(TrainError::Setting { setting: "batch_size", value: "0".into(), allowed: "at least 1" })
            }
            Self::NonPrivate { steps: 0, .. } => {
                Err(TrainError::Setting { setting: "steps", value: "0".into(), allowed: "at least 1" })
            }
            // A plan with values out of range cannot be built.
            Self::DpSgd(_) | Self::NonPrivate { .. } => Ok(()),
        }
    }
}

/// Step size over the run: a linear warm-up to the peak, then the schedule to the last step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRate {
    /// Largest step size.
    pub peak: f64,
    /// Steps until the peak.
    pub warmup_steps: u64,
    /// Course after the peak.
    pub schedule: Schedule,
}

/// Course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Falls on a line towards 0 after the last step.
    Linear,
    /// Falls on half a cosine towards 0 after the last step.
    Cosine,
}

impl LearningRate {
    /// Step size of step `step`, counted from 0, of `total`. Positive for every step of the run.
    pub fn at(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / (self.warmup_steps + 1) as f64;
        }
        let length = total.saturating_sub(self.warmup_steps).max(1);
        let progress = (step - self.warmup_steps) as f64 / length as f64;
        match self.schedule {
            Schedule::Constant => self.peak,
            Schedule::Linear => self.peak * (1.0 - progress),
            Schedule::Cosine => self.peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
