//! The choices that a run has about its channel.

use serde::{Deserialize, Serialize};

/// Most passes of [`Context::Denoised`]: each costs a forward pass, so this bounds what a setting can make a worker do.
pub const MAX_PASSES: u32 = 8;

/// How training on perturbed tokens allows for their channel. Without effect on text in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Correction {
    /// Takes the received tokens for the owner's.
    Off,
    /// Trains on the likelihood of what was received.
    Forward {
        /// What stands in for the tokens before the target.
        context: Context,
    },
}

impl Default for Correction {
    /// What `docs/channel-aware-training.md` found best.
    fn default() -> Self {
        Self::Forward { context: Context::Denoised { passes: 1 } }
    }
}

/// What the model reads in place of the owner's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Context {
    /// The received tokens.
    Received,
    /// The posterior mean of the embedding, Σ_x P(x | y)·E\[x\], under a prior that is the same at every position.
    PosteriorMean,
    /// The same, with a prior of its own at each position: half the model's prediction p(x | what is before), as its
    /// parameters stand, and half the common prior. The E-step of expectation maximisation (Dempster, Laird & Rubin 1977),
    /// approximate because each position sees the mean of those before it.
    Denoised {
        /// Forward passes, 1 to [`MAX_PASSES`]. The first reads [`Context::PosteriorMean`], each next one what the last made.
        passes: u32,
    },
}
