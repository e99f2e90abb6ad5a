//! How a record's gradient is brought within the clipping norm before it is summed.
//!
//! # Contract
//! A rule is a function of one record's gradient g and of the norm C, and its result has norm ≤ C but for the rounding of
//! f32. It stands *before* the sum's own clip ([`ClippedSum`](crate::ClippedSum)), which cuts whatever is still longer, exactly
//! and whatever the rule did. So the sensitivity is C under every rule, no rule is part of the accounting, and what a rule
//! decides is only in which direction and how far a record moves the sum:
//!
//! ```text
//! flat       g · min(1, C/‖g‖)                                   Abadi et al. 2016, Algorithm 1
//! auto       g · C/(‖g‖ + γ), γ = 0.01                           Bu et al. 2023, "Automatic Clipping", AUTO-S
//! per-layer  g_l · min(1, C_l/‖g_l‖), C_l = C/√L, l = 1 … L      McMahan et al. 2018, "PerLayerClip"
//! ```
//!
//! The parts g_l are those of the transformer blocks: ‖g‖² = Σ ‖g_l‖² ≤ L·C²/L = C².

use std::fmt;

use serde::{Deserialize, Serialize};

/// γ of AUTO-S, the paper's value. It keeps the factor finite where a gradient vanishes, and tells long gradients from short ones.
pub const AUTO_STABILITY: f64 = 0.01;

/// The rule: see the [module](self) for what each does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clipping {
    /// Gradients longer than the norm are shortened to it.
    #[default]
    Flat,
    /// Every gradient is brought to nearly the norm, short ones too (AUTO-S).
    Auto,
    /// Each transformer block's part of a gradient is shortened to its share of the norm.
    PerLayer,
}

impl Clipping {
    /// Whether this is the rule that stands where none is named.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Clipping {
    /// The name on the command line and in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flat => "flat",
            Self::Auto => "auto",
            Self::PerLayer => "per-layer",
        })
    }
}

/// A rule with the parts of the vectors that it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clipper {
    rule: Clipping,
    /// Where each block's part ends.
    ends: Vec<usize>,
}

impl Clipper {
    /// A rule for vectors whose blocks have these lengths, in order. Only [`Clipping::PerLayer`] looks at them.
    pub fn new(rule: Clipping, block_lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let ends = block_lengths.into_iter().map(|length| {
            end += length;
            end
        });
        Self { rule, ends: ends.collect() }
    }

    /// The rule.
    pub fn rule(&self) -> Clipping {
        self.rule
    }

    /// Brings `gradient` within `max_norm`, up to the rounding of f32. One with a NaN or an infinity is left as it is, for the sum
    /// to count as zero; so is every one under [`Clipping::Flat`], which the sum carries out itself.
    ///
    /// # Panics
    /// If the rule goes by blocks and these do not make up `gradient`.
    pub fn limit(&self, gradient: &mut [f32], max_norm: f64) {
        match self.rule {
            Clipping::Flat => {}
            Clipping::Auto => {
                let norm = norm(gradient);
                scale(gradient, max_norm / (norm + AUTO_STABILITY));
            }
            Clipping::PerLayer => self.limit_blocks(gradient, max_norm),
        }
    }

    fn limit_blocks(&self, gradient: &mut [f32], max_norm: f64) {
        assert_eq!(self.ends.last(), Some(&gradient.len()), "the blocks must make up the gradient");
        let share = max_norm / (self.ends.len() as f64).sqrt();
        let mut start = 0;
        for &end in &self.ends {
            let block = &mut gradient[start..end];
            let norm = norm(block);
            if norm > share {
                scale(block, share / norm);
            }
            start = end;
        }
    }
}

/// ‖v‖. No square of an f32 overflows an f64.
fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

/// `vector · factor`; as it was where the factor comes from a norm that is not finite: a product with 0 could hide an infinity.
fn scale(vector: &mut [f32], factor: f64) {
    if factor > 0.0 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}

#[cfg(test)]
#[path = "clipping_tests.rs"]
mod tests;
