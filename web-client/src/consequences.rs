//! What a privacy setting means, as numbers that the page turns into plain sentences. Everything is rounded, or bounded, so that no sentence
//! promises more than holds.

use dp::{Delta, Epsilon};
use perturb::numbers::{Numbers, Plausible};
use perturb::{Channel, Counts};
use rand::CryptoRng;
use serde::Serialize;

/// What perturbing every token or word by one setting means for a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextConsequences {
    /// ε of one token, exact or rounded up.
    pub epsilon: f64,
    /// The δ that every ε here is stated at; none where the guarantee is pure.
    pub delta: Option<f64>,
    /// What the original service's formula would have stated as ε. **Not a guarantee.**
    pub classical_epsilon: Option<f64>,
    /// Chance that a token stays as it is.
    pub kept: f64,
    /// Whether `kept` was measured on the text.
    pub measured: bool,
    /// Chance that it becomes another token of its neighbour set; 0 where there are no sets.
    pub near: f64,
    /// Chance that it becomes any other token.
    pub far: f64,
    /// Chance that whoever sees one perturbed token, and thought all tokens equally likely before, guesses the original: the posterior
    /// is then proportional to P(y | x), whose largest value is the chance of being kept. None where that is not known.
    pub best_guess: Option<f64>,
    /// Among how many equally likely originals a reader of one output is as unsure; none where that is not known.
    pub originals: Option<f64>,
    /// Different outputs of one token in a hundred draws, where `originals` is not known.
    pub outputs: Option<f64>,
    /// e^ε: the factor by which the odds of any suspicion about one token can change, but for a chance of δ.
    pub odds: f64,
    /// ε of the longest record: its tokens compose. 0 when there is no text yet.
    pub worst_record: f64,
    /// ε of the whole text.
    pub document: f64,
}

impl TextConsequences {
    /// The consequences of `channel` for a text of these counts, of which `sample` are some ids.
    pub fn new(channel: &Channel, counts: Counts, sample: &[u32], rng: &mut impl CryptoRng) -> Self {
        let numbers = Numbers::new(channel, counts, sample, rng);
        let kept = numbers.survival;
        let set = channel.response().map_or(kept, |response| response.set_probability());
        let (originals, outputs) = match numbers.plausible {
            Plausible::Originals(size) => (Some(size), None),
            Plausible::OutputsInAHundred(size) => (None, Some(size)),
        };
        Self {
            epsilon: numbers.epsilon_per_token,
            delta: numbers.delta,
            classical_epsilon: numbers.classical_epsilon,
            kept,
            measured: numbers.measured,
            near: (set - kept).max(0.0),
            far: (1.0 - set).max(0.0),
            best_guess: channel.response().map(|_| kept),
            originals,
            outputs,
            // JSON has no infinity; nobody will miss odds beyond this.
            odds: numbers.epsilon_per_token.exp().min(f64::MAX),
            worst_record: numbers.epsilon_of_longest_record,
            document: numbers.epsilon_of_document,
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
