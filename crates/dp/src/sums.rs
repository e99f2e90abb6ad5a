//! The sums that a batch's records enter: one of gradients and, where a plan pays for it, one of losses.

use crate::plan::MAX_LOSS;
use crate::{ClippedSum, DpError};

/// Noise multipliers of a gradient sum and, if one is released, of a loss sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Noise {
    pub(crate) gradient: f64,
    pub(crate) loss: Option<f64>,
}

/// The clipped sums of a batch or of a shard of one; as secret as the records.
#[derive(Debug, Clone)]
pub(crate) struct BatchSums {
    pub(crate) gradients: ClippedSum,
    pub(crate) losses: Option<ClippedSum>,
}

impl BatchSums {
    /// Empty sums of gradients of `dimension` values. Norm and noise are those of a valid plan, or of its
    /// shards.
    pub(crate) fn new(dimension: usize, max_grad_norm: f64, noise: Noise) -> Self {
        // The checks of a plan and of its shards include the sum's.
        let valid = |sum: Result<ClippedSum, DpError>| sum.expect("a valid plan has valid sums");
        Self {
            gradients: valid(ClippedSum::new(dimension, max_grad_norm, noise.gradient)),
            losses: noise.loss.map(|noise| valid(ClippedSum::new(1, MAX_LOSS / 2.0, noise))),
        }
    }

    /// Adds one record: its gradient, clipped, and its loss, clipped to 0 … [`MAX_LOSS`] (one that is no
    /// number counts as the middle).
    pub(crate) fn add(&mut self, gradient: &[f32], loss: f64) {
        self.gradients.add(gradient);
        if let Some(losses) = &mut self.losses {
            // About the middle the sensitivity is half of what it is about 0, and a batch of another size
            // than expected distorts the mean less.
            losses.add(&[(loss.clamp(0.0, MAX_LOSS) - MAX_LOSS / 2.0) as f32]);
        }
    }
}
