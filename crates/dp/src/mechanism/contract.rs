//! What a local mechanism promises: the notion, the sensitivity, and the worst case for one token and for many.

use crate::{Delta, Epsilon};

use crate::accountant::gaussian;

/// Which inequality a mechanism M satisfies for all inputs x, x′ of its domain and all sets S of outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Notion {
    /// P(M(x) ∈ S) ≤ e^ε·P(M(x′) ∈ S): ε-local differential privacy.
    PureLdp,
    /// P(M(x) ∈ S) ≤ e^ε·P(M(x′) ∈ S) + δ.
    ApproximateLdp {
        /// The δ that the ε goes with, for one token and for a document alike.
        delta: Delta,
    },
    /// P(M(x) ∈ S) ≤ e^(κ·r)·P(M(x′) ∈ S) for inputs at a distance r: metric privacy (Chatzikokolakis et al. 2013).
    /// Near inputs are hidden better than the worst case says.
    Metric {
        /// κ, the ε for each unit of distance.
        epsilon_per_unit: f64,
    },
}

/// How far two inputs of the domain can be apart, in the distance that the noise is measured by.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Sensitivity {
    /// Any two items are neighbours, at distance 1.
    Discrete,
    /// The largest L1 distance of two inputs.
    L1(f64),
    /// The largest L2 distance of two inputs.
    L2(f64),
    /// The most by which a change of input can change any output's score.
    Score(f64),
}

/// The promise of one mechanism, about single tokens that are each perturbed on their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contract {
    notion: Notion,
    sensitivity: Sensitivity,
    loss: Loss,
}

/// What tokens of a document add up from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    /// Adds up as it is.
    Pure(Epsilon),
    /// Gaussian noise of this multiplier of the sensitivity: squares add up.
    Gaussian { noise_multiplier: f64, delta: Delta },
}

impl Contract {
    /// Pure ε-LDP where any two items are neighbours and nothing but ε is to be said.
    pub fn per_item(epsilon: Epsilon) -> Self {
        Self::pure(epsilon, Sensitivity::Discrete)
    }

    /// Pure ε-LDP.
    pub(crate) fn pure(epsilon: Epsilon, sensitivity: Sensitivity) -> Self {
        Self { notion: Notion::PureLdp, sensitivity, loss: Loss::Pure(epsilon) }
    }

    /// Metric privacy, and pure ε-LDP for inputs that are as far apart as can be.
    pub(super) fn metric(epsilon_per_unit: f64, epsilon: Epsilon, sensitivity: Sensitivity) -> Self {
        Self { notion: Notion::Metric { epsilon_per_unit }, sensitivity, loss: Loss::Pure(epsilon) }
    }

    /// Gaussian noise of `noise_multiplier` times the sensitivity.
    pub(super) fn gaussian(noise_multiplier: f64, delta: Delta, sensitivity: Sensitivity) -> Self {
        let notion = Notion::ApproximateLdp { delta };
        Self { notion, sensitivity, loss: Loss::Gaussian { noise_multiplier, delta } }
    }

    /// The kind of promise.
    pub fn notion(&self) -> Notion {
        self.notion
    }

    /// What the noise is scaled to.
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// The ε of one token, at its notion's δ.
    pub fn epsilon_per_token(&self) -> f64 {
        self.epsilon(1)
    }

    /// The ε of a record or document of `tokens` tokens, all of which may differ: rounded up.
    ///
    /// Pure: n·ε, which is reached. Gaussian: n draws with sensitivity Δ each are one with Δ·√n, exactly (Balle &
    /// Wang 2018, Theorem 8).
    pub fn epsilon(&self, tokens: u64) -> f64 {
        let tokens = rounded_up(tokens);
        match self.loss {
            _ if tokens < 1.0 => 0.0,
            Loss::Pure(epsilon) => product_rounded_up(tokens, epsilon.get()),
            Loss::Gaussian { noise_multiplier, delta } => {
                let root = if tokens < 2.0 { 1.0 } else { tokens.sqrt().next_up() };
                gaussian::epsilon((noise_multiplier / root).next_down(), delta)
            }
        }
    }
}

/// The least f64 that is not below `tokens`, or the one after it.
fn rounded_up(tokens: u64) -> f64 {
    // Exact up to 2⁵³.
    if tokens <= 1 << 53 { tokens as f64 } else { (tokens as f64).next_up() }
}

/// a·b if that is an f64, else one above it.
fn product_rounded_up(a: f64, b: f64) -> f64 {
    let product = a * b;
    // The remainder of a rounded product is an f64, and the fused operation gives it.
    if libm::fma(a, b, -product) > 0.0 { product.next_up() } else { product }
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
