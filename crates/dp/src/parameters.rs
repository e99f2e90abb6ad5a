//! ε and δ as types: an invalid one cannot be built, nor deserialised.

use serde::{Deserialize, Serialize};

use crate::DpError;

/// The privacy loss bound ε: finite and above zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Epsilon(f64);

impl Epsilon {
    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Epsilon {
    type Error = DpError;

    fn try_from(value: f64) -> Result<Self, DpError> {
        if value.is_finite() && value > 0.0 { Ok(Self(value)) } else { Err(DpError::Epsilon(value)) }
    }
}

impl From<Epsilon> for f64 {
    fn from(epsilon: Epsilon) -> f64 {
        epsilon.0
    }
}

impl std::fmt::Display for Epsilon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The probability δ with which the bound ε may fail: strictly between zero and one.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Delta(f64);

impl Delta {
    /// The number itself.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Delta {
    type Error = DpError;

    fn try_from(value: f64) -> Result<Self, DpError> {
        if value > 0.0 && value < 1.0 { Ok(Self(value)) } else { Err(DpError::Delta(value)) }
    }
}

impl From<Delta> for f64 {
    fn from(delta: Delta) -> f64 {
        delta.0
    }
}

impl std::fmt::Display for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Lower-case exponent form: a δ is a small number.
        std::fmt::LowerExp::fmt(&self.0, f)
    }
}

/// The δ that is taken when none is given.
///
/// A mechanism that publishes one record in a million whole is (0, 1e-6)-DP, so δ has to stay well below
/// 1 / `records`; a tenth of it is the customary margin, and 1e-5 the customary ceiling for small data.
pub fn default_delta(records: usize) -> Delta {
    Delta((1.0 / (10.0 * records.max(1) as f64)).min(1e-5))
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
