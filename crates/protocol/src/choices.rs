//! Settings of the `dp_lora` method that are one of a few, by the names that the API and the command line have for them.

use serde::{Deserialize, Serialize};

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

/// What turns a step's noisy gradient into an update, as a client names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Adam with decoupled weight decay.
    #[default]
    Adamw,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// The same with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Adam with decoupled weight decay.
    Adamw,
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last update's direction that is kept, from 0 to below 1.
        momentum: f64,
    },
}

/// Course of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Falls on a line towards 0.
    #[default]
    Linear,
    /// Falls on half a cosine towards 0.
    Cosine,
}

/// Arithmetic of the frozen model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16 products, added up in f32.
    Bf16,
}
