//! The optimisers over one flat vector. What they do to a released gradient is post-processing: it costs no privacy.
//!
//! ```text
//! adamw   m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← θ − η·(m̂/(√v̂ + 10⁻⁸) + λθ)     Loshchilov & Hutter 2019, algorithm 2
//! sgd     b ← μb + g,                              θ ← θ − η·(b + λθ)                  the same, algorithm 1, with η outside of b
//! ```

use serde::{Deserialize, Serialize};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
/// Keeps the division finite where the second moment is zero; the value of the paper.
const EPSILON: f64 = 1e-8;

/// The momentum of SGD unless set otherwise: what most use.
pub const DEFAULT_MOMENTUM: f64 = 0.9;

/// How a step's gradient changes the parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam with decoupled weight decay, β = (0.9, 0.999).
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// Stochastic gradient descent, with decoupled weight decay too.
    Sgd {
        /// Share of the last update's direction that is kept, from 0 to below 1.
        momentum: f64,
    },
}

impl Optimizer {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the optimiser remembers, before any step.
    fn memory(self, length: usize) -> Memory {
        let zeros = || vec![0.0; length];
        match self {
            Self::AdamW => Memory::Moments { first: zeros(), second: zeros() },
            Self::Sgd { momentum: 0.0 } => Memory::Nothing,
            Self::Sgd { .. } => Memory::Momentum { buffer: zeros() },
        }
    }
}

/// What an optimiser remembers from step to step, each as long as the parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Memory {
    /// AdamW.
    Moments {
        /// Mean of the gradient.
        first: Vec<f32>,
        /// Mean of its square.
        second: Vec<f32>,
    },
    /// SGD with momentum.
    Momentum {
        /// Sum of the gradients, each older one worth less.
        buffer: Vec<f32>,
    },
    /// SGD without.
    Nothing,
}

impl Memory {
    /// All of it, by the names that checkpoints use.
    pub(crate) fn parts(&self) -> Vec<(&'static str, &[f32])> {
        match self {
            Self::Moments { first, second } => vec![("first_moment", first), ("second_moment", second)],
            Self::Momentum { buffer } => vec![("momentum_buffer", buffer)],
            Self::Nothing => Vec::new(),
        }
    }

    fn parts_mut(&mut self) -> Vec<(&'static str, &mut Vec<f32>)> {
        match self {
            Self::Moments { first, second } => vec![("first_moment", first), ("second_moment", second)],
            Self::Momentum { buffer } => vec![("momentum_buffer", buffer)],
            Self::Nothing => Vec::new(),
        }
    }
}

/// Trained values with what the optimiser remembers: everything that a step changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) parameters: Vec<f32>,
    pub(crate) memory: Memory,
    /// Updates made.
    pub(crate) steps: u64,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(optimizer: Optimizer, parameters: Vec<f32>) -> Self {
        Self { memory: optimizer.memory(parameters.len()), parameters, steps: 0 }
    }

    /// A state of `optimizer` after `steps` steps, its vectors by the names of [`Memory::parts`].
    pub(crate) fn read<E>(
        optimizer: Optimizer,
        steps: u64,
        mut vector: impl FnMut(&'static str) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut memory = optimizer.memory(0);
        for (name, part) in memory.parts_mut() {
            *part = vector(name)?;
        }
        Ok(Self { parameters: vector("parameters")?, memory, steps })
    }

    /// One update. `optimizer` is the one that the state was made for.
    pub(crate) fn update(&mut self, optimizer: Optimizer, gradient: &[f32], rate: f64, weight_decay: f64) {
        self.steps += 1;
        let apply = |value: &mut f32, direction: f64| {
            let old = f64::from(*value);
            *value = (old - rate * (direction + weight_decay * old)) as f32;
        };
        let values = self.parameters.iter_mut().zip(gradient.iter().map(|&g| f64::from(g)));
        match (&mut self.memory, optimizer) {
            (Memory::Moments { first, second }, _) => {
                let corrections = [BETA1, BETA2].map(|beta| 1.0 - beta.powf(self.steps as f64));
                for ((value, g), (m, v)) in values.zip(first.iter_mut().zip(second)) {
                    apply(value, adam_direction(g, m, v, corrections));
                }
            }
            (Memory::Momentum { buffer }, Optimizer::Sgd { momentum }) => {
                for ((value, g), b) in values.zip(buffer) {
                    *b = (momentum * f64::from(*b) + g) as f32;
                    apply(value, f64::from(*b));
                }
            }
            (Memory::Momentum { .. } | Memory::Nothing, _) => values.for_each(|(value, g)| apply(value, g)),
        }
    }
}

/// Takes a gradient into its moments, and returns the bias-corrected direction.
fn adam_direction(g: f64, m: &mut f32, v: &mut f32, [correction1, correction2]: [f64; 2]) -> f64 {
    *m = (BETA1 * f64::from(*m) + (1.0 - BETA1) * g) as f32;
    *v = (BETA2 * f64::from(*v) + (1.0 - BETA2) * g * g) as f32;
    (f64::from(*m) / correction1) / ((f64::from(*v) / correction2).sqrt() + EPSILON)
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
