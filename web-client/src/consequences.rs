//! What a privacy setting means, as numbers that the page turns into plain sentences. Everything is rounded, or bounded, so that no sentence
//! promises more than holds.

use dp::{Delta, Epsilon, SetRandomizedResponse};
use serde::Serialize;

/// What perturbing every token at one ε means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextConsequences {
    /// ε of one token.
    pub epsilon: f64,
    /// Chance that a token stays as it is.
    pub kept: f64,
    /// Chance that it becomes another token of its neighbour set.
    pub near: f64,
    /// Chance that it becomes a token outside of its set.
    pub far: f64,
    /// Chance that whoever sees one perturbed token, and thought all tokens equally likely before, guesses the original. The posterior
    /// is then proportional to P(y | x), whose largest value is hi / Z: the chance of being kept.
    pub best_guess: f64,
    /// e^ε: the factor by which the odds of any suspicion about one token can change.
    pub odds: f64,
    /// ε of the longest record: the tokens' ε added up. 0 when there is no text yet.
    pub worst_record: f64,
}

impl TextConsequences {
    /// The consequences of `mechanism` for a text whose longest record has `longest` tokens.
    pub fn new(mechanism: &SetRandomizedResponse, longest: usize) -> Self {
        let (kept, set) = (mechanism.keep_probability(), mechanism.set_probability());
        let epsilon = mechanism.epsilon().get();
        Self {
            epsilon,
            kept,
            near: (set - kept).max(0.0),
            far: (1.0 - set).max(0.0),
            best_guess: kept,
            odds: epsilon.exp(),
            worst_record: epsilon * longest as f64,
        }
    }
}

/// What training under (ε, δ) means for one privacy unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingConsequences {
    /// ε of the whole training.
    pub epsilon: f64,
    /// δ of the whole training.
    pub delta: f64,
    /// The best chance of telling whether one record was trained on, from a fair coin's prior: (e^ε + δ) / (1 + e^ε), from the
    /// hypothesis-testing view of DP (Kairouz, Oh & Viswanath 2015, theorem 2.1).
    pub accuracy: f64,
}

impl TrainingConsequences {
    /// The consequences of (ε, δ)-DP training.
    pub fn new(epsilon: Epsilon, delta: Delta) -> Self {
        // Divided by e^ε, so that a large ε gives 1 instead of an overflow.
        let other = (-epsilon.get()).exp();
        let accuracy = (1.0 + delta.get() * other) / (1.0 + other);
        Self { epsilon: epsilon.get(), delta: delta.get(), accuracy: accuracy.min(1.0) }
    }
}

#[cfg(test)]
#[path = "consequences_tests.rs"]
mod tests;
