//! Settings of the `dp_lora` method: what a client may ask for, checked once, with a default for everything.
//!
//! A [`DpLora`] can only be built valid: [`DpLoraRequest::validate`] is the one way in, also when a stored job is read back.

use crate::error::ApiError;
use dp::{Delta, DpError, DpSgdPlan, Epsilon, PlanRequest, PrivacyUnit, default_delta};
use serde::{Deserialize, Serialize};

/// The linear layers a LoRA adapter can attach to, by PEFT's names.
pub const TARGET_MODULES: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// The largest ε of training that is accepted. Beyond it the guarantee says nothing (e^20 is about 5e8), and a certificate would mislead.
pub const MAX_EPSILON: f64 = 20.0;

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
    /// Layers that get an adapter; default `q_proj`, `k_proj`, `v_proj`, `o_proj`.
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
    /// Peak learning rate of AdamW; default 0.002.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// L2 norm that each record's gradient is clipped to; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_grad_norm: Option<f64>,
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
    /// PEFT names.
    pub target_modules: Vec<String>,
    /// Expected batch size.
    pub batch_size: u32,
    /// Steps or epochs.
    pub duration: Duration,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Clipping norm.
    pub max_grad_norm: f64,
    /// Tokens of a sequence.
    pub max_length: u32,
    /// Sequences of a record.
    pub max_chunks_per_record: u32,
    /// Whether each step's loss is released, with noise.
    pub loss_curve: bool,
    /// How training allows for the channel.
    pub correction: Correction,
}

/// How training on tokens that passed set-rr or k-rr allows for the channel. Without effect on anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// Takes the received tokens for the owner's.
    Off,
    /// Trains on the likelihood of what was received, with the received tokens as context.
    Received,
    /// The same, with the mean of what each received token may have been as context.
    PosteriorMean,
    /// The same, with the mean by what the model itself expects at each place: a second forward pass, and the best results.
    #[default]
    Denoised,
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
            target_modules: target_modules(self.target_modules)?,
            batch_size: integer("batch_size", self.batch_size, 64, 1, 65_536)?,
            duration: duration(self.steps, self.epochs)?,
            learning_rate: number("learning_rate", self.learning_rate, 2e-3, 1e-8, 1.0)?,
            max_grad_norm: number("max_grad_norm", self.max_grad_norm, 1.0, 1e-6, 1e6)?,
            max_length: integer("max_length", self.max_length, 128, 2, 8192)?,
            max_chunks_per_record: integer("max_chunks_per_record", self.max_chunks_per_record, 4, 1, 1024)?,
            loss_curve: self.loss_curve.unwrap_or(false),
            correction: self.correction.unwrap_or_default(),
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
        Self {
            epsilon: Some(valid.epsilon.get()),
            delta: valid.delta.map(Delta::get),
            privacy_unit: Some(valid.privacy_unit),
            rank: Some(valid.rank),
            alpha: Some(valid.alpha),
            target_modules: Some(valid.target_modules),
            batch_size: Some(valid.batch_size),
            steps,
            epochs,
            learning_rate: Some(valid.learning_rate),
            max_grad_norm: Some(valid.max_grad_norm),
            max_length: Some(valid.max_length),
            max_chunks_per_record: Some(valid.max_chunks_per_record),
            loss_curve: Some(valid.loss_curve),
            correction: Some(valid.correction),
        }
    }
}

fn invalid(param: &'static str, message: String) -> ApiError {
    ApiError::invalid("invalid_hyperparameter", Some(param), message)
}

fn epsilon(value: Option<f64>) -> Result<Epsilon, ApiError> {
    let value = value.unwrap_or(8.0);
    let valid = Epsilon::try_from(value).ok().filter(|e| e.get() <= MAX_EPSILON);
    valid.ok_or_else(|| invalid("epsilon", format!("`epsilon` must be a number above 0 and at most {MAX_EPSILON}; 8 is the default, smaller is more private.")))
}

fn delta(value: f64) -> Result<Delta, ApiError> {
    let valid = Delta::try_from(value).ok().filter(|d| (1e-12..=1e-2).contains(&d.get()));
    valid.ok_or_else(|| invalid("delta", "`delta` must lie between 1e-12 and 0.01; leave it out for a value that fits the number of records.".into()))
}

fn integer(
    param: &'static str,
    value: Option<u32>,
    default: u32,
    low: u32,
    high: u32,
) -> Result<u32, ApiError> {
    let value = value.unwrap_or(default);
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(param, format!("`{param}` must be a whole number from {low} to {high}.")))
    }
}

fn number(
    param: &'static str,
    value: Option<f64>,
    default: f64,
    low: f64,
    high: f64,
) -> Result<f64, ApiError> {
    let value = value.unwrap_or(default);
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(param, format!("`{param}` must be a number from {low} to {high}.")))
    }
}

fn duration(steps: Option<u64>, epochs: Option<f64>) -> Result<Duration, ApiError> {
    match (steps, epochs) {
        (Some(_), Some(_)) => Err(invalid("steps", "Give `steps` or `epochs`, not both.".into())),
        (Some(steps), None) if (1..=1_000_000).contains(&steps) => Ok(Duration::Steps(steps)),
        (Some(_), None) => Err(invalid("steps", "`steps` must be a whole number from 1 to 1000000.".into())),
        (None, epochs) => number("epochs", epochs, 3.0, 1e-3, 1e4).map(Duration::Epochs),
    }
}

fn target_modules(names: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let names = names.unwrap_or_else(|| TARGET_MODULES[..4].iter().map(|name| (*name).to_owned()).collect());
    let known = |name: &String| TARGET_MODULES.contains(&name.as_str());
    let repeated = (1..names.len()).any(|i| names[..i].contains(&names[i]));
    if names.is_empty() || repeated || !names.iter().all(known) {
        let known = TARGET_MODULES.join(", ");
        return Err(invalid(
            "target_modules",
            format!("`target_modules` must be a list, without repeats, of: {known}."),
        ));
    }
    Ok(names)
}

#[cfg(test)]
#[path = "hyperparameters_tests.rs"]
mod tests;
