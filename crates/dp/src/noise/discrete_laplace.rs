//! The discrete Laplace distribution, exactly.
//!
//! # Contract
//! [`DiscreteLaplace`] of scale t, a positive integer, draws Z with
//!
//! ```text
//! P(Z = z) = (1 − a) / (1 + a) · a^|z|,   a = e^(−1/t)
//! ```
//!
//! so that for integers x, x′ and every outcome y, P(x + Z = y) / P(x′ + Z = y) ≤ e^(|x − x′|/t): pure ε-DP with ε =
//! sensitivity / t. Canonne, Kamath & Steinke, *The Discrete Gaussian for Differential Privacy* (2020), Algorithm 2
//! with s = 1, from Algorithm 1. Every choice is a comparison of a uniform integer; no floating-point number takes
//! part.
//!
//! Not hidden: the time that a draw takes varies with the draw.

use rand::CryptoRng;

use super::uniform::uniform_below;

/// Noise of one scale: see the [module](self) for its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscreteLaplace {
    scale: u64,
}

impl DiscreteLaplace {
    /// The largest scale: an f64 still holds it exactly.
    pub const MAX_SCALE: u64 = 1 << 52;

    /// Noise of scale `scale`, or nothing unless that is in 1 ..= [`MAX_SCALE`](Self::MAX_SCALE).
    pub fn new(scale: u64) -> Option<Self> {
        (1..=Self::MAX_SCALE).contains(&scale).then_some(Self { scale })
    }

    /// The scale, t.
    pub fn scale(self) -> u64 {
        self.scale
    }

    /// One draw, in so many bits that nothing ever saturates. Choices in order: remainder, its trial, quotient's
    /// trials, sign.
    pub fn sample(self, rng: &mut impl CryptoRng) -> i128 {
        loop {
            // |Z| = remainder + scale·quotient, each geometric; the first by rejection from the uniform.
            let remainder = uniform_below(rng, self.scale);
            if !bernoulli_exp(rng, remainder, self.scale) {
                continue;
            }
            let mut quotient = 0_u64;
            while bernoulli_exp(rng, 1, 1) {
                quotient += 1;
            }
            // Below 2⁵² + 2⁵²·2⁶⁴.
            let magnitude = (u128::from(remainder) + u128::from(self.scale) * u128::from(quotient)) as i128;
            let negative = uniform_below(rng, 2) == 1;
            if !(negative && magnitude == 0) {
                return if negative { -magnitude } else { magnitude };
            }
        }
    }
}

/// True with probability exp(−`numerator`/`denominator`), for a fraction of at most 1 (Algorithm 1 of the paper).
///
/// A run of successes of probabilities γ/1, γ/2, γ/3 … is longer than k with chance γᵏ/k!, so its end is at an odd
/// place with chance 1 − γ + γ²/2! − … = e^−γ.
fn bernoulli_exp(rng: &mut impl CryptoRng, numerator: u64, denominator: u64) -> bool {
    let mut place = 1_u64;
    // γ/place as two trials, so that no product can overflow.
    while uniform_below(rng, denominator) < numerator && uniform_below(rng, place) == 0 {
        place += 1;
    }
    place % 2 == 1
}

#[cfg(test)]
#[path = "discrete_laplace_tests.rs"]
mod tests;
