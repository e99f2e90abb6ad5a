//! AdamW with decoupled weight decay (Loshchilov & Hutter, 2019, algorithm 2) and global-norm gradient clipping.

use std::ops::Range;

use pulp::Arch;

use crate::kernels;

/// Settings of [`AdamW`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamWConfig {
    /// Decay of the first moment.
    pub(crate) beta1: f32,
    /// Decay of the second moment.
    pub(crate) beta2: f32,
    /// Added to the root of the second moment.
    pub(crate) eps: f32,
    /// Decay of the matrices, in units of the learning rate. Norm gains do not decay.
    pub(crate) weight_decay: f32,
    /// L2 bound on the gradient of a step.
    pub(crate) max_grad_norm: f64,
}

impl Default for AdamWConfig {
    /// The usual settings for pre-training small language models (β₂ = 0.95 follows the gradient faster than 0.999).
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, max_grad_norm: 1.0 }
    }
}

/// The moments, laid out like the weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdamW {
    /// First moment.
    pub(crate) first: Vec<f32>,
    /// Second moment.
    pub(crate) second: Vec<f32>,
    /// Steps taken.
    pub(crate) steps: u64,
}

impl AdamW {
    /// Moments at zero for `parameters` weights.
    pub(crate) fn new(parameters: usize) -> Self {
        Self { first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// One step; only the `decayed` ranges shrink. Returns the gradient's norm before clipping.
    pub(crate) fn step(
        &mut self,
        config: &AdamWConfig,
        weights: &mut [f32],
        gradient: &[f32],
        learning_rate: f32,
        decayed: &[Range<usize>],
    ) -> f64 {
        self.steps += 1;
        let norm = kernels::sum_of_squares(gradient).sqrt();
        let clip = if norm > config.max_grad_norm { (config.max_grad_norm / norm) as f32 } else { 1.0 };
        for range in decayed {
            kernels::scale(&mut weights[range.clone()], 1.0 - learning_rate * config.weight_decay);
        }
        self.move_weights(config, weights, gradient, learning_rate, clip);
        norm
    }

    fn move_weights(
        &mut self,
        config: &AdamWConfig,
        weights: &mut [f32],
        gradient: &[f32],
        rate: f32,
        clip: f32,
    ) {
        let steps = self.steps as f64;
        let correction1 = 1.0 - f64::from(config.beta1).powf(steps);
        let correction2 = 1.0 - f64::from(config.beta2).powf(steps);
        let (rate, root) = (rate / correction1 as f32, (1.0 / correction2.sqrt()) as f32);
        let (beta1, beta2, eps) = (config.beta1, config.beta2, config.eps);
        let moments = self.first.iter_mut().zip(&mut self.second);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((w, g), (m, v)) in weights.iter_mut().zip(gradient).zip(moments) {
                    let g = g * clip;
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *w -= rate * *m / (v.sqrt() * root + eps);
                }
            },
        );
    }
}

/// Learning rate at `progress` ∈ [0, 1] of the time budget: a linear warm-up over `warmup_steps`, then linear decay to
/// zero. Driven by time rather than steps, it always ends decayed, however busy the machine.
pub(crate) fn learning_rate(peak: f32, step: u64, warmup_steps: u64, progress: f64) -> f32 {
    let warmup = ((step + 1) as f32 / warmup_steps.max(1) as f32).min(1.0);
    peak * warmup * (1.0 - progress.clamp(0.0, 1.0)) as f32
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
