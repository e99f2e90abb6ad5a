//! Honest numbers: what a channel means for a text, before anything is sent.
//!
//! ε is exact or rounded up, by the channel's [`Contract`](dp::Contract). What depends on the tokens (how many survive, among how many outputs a
//! token may end) is exact for the two-level mechanisms and measured for the others, on tokens of the text itself and with
//! draws that are thrown away.

use dp::SetRandomizedResponse;
use dp::mechanism::{Region, classical_epsilon};
use rand::CryptoRng;
use serde::Serialize;

use crate::{Channel, Counts, Mechanism};

/// Tokens of the text that are drawn for, to measure survival: half a width of 2 % at 95 %, and half a second in a browser for the
/// slowest mechanism.
const SURVIVAL_DRAWS: usize = 2_500;
/// Tokens whose outputs are counted.
const PLAUSIBLE_TOKENS: usize = 40;
/// Draws of each of them.
const PLAUSIBLE_DRAWS: usize = 100;

/// What a channel means for one text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// ε of one token, for any two tokens.
    pub epsilon_per_token: f64,
    /// The δ at which all ε here are stated; none where the guarantee is pure.
    pub delta: Option<f64>,
    /// ε of the longest record: all of its tokens may differ.
    pub epsilon_of_longest_record: f64,
    /// ε of all records together.
    pub epsilon_of_document: f64,
    /// Chance that a token of this text comes out as it went in.
    pub survival: f64,
    /// Share of the tokens that is expected to differ, 1 − survival.
    pub changed: f64,
    /// Whether survival was measured on the text (by simulation) and not computed.
    pub measured: bool,
    /// Among how many a token hides: see [`Plausible`].
    pub plausible: Plausible,
    /// What the original service's formula would have stated; for the Gaussian mechanism alone. **Not a guarantee.**
    pub classical_epsilon: Option<f64>,
}

/// Size of the plausible set of a token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "size")]
pub enum Plausible {
    /// As many equally likely originals would leave a reader of one output as unsure as the channel does, all tokens being equally likely
    /// before: e^H(X | Y).
    Originals(f64),
    /// Mean number of different outputs in a hundred draws for one token of the text (Feyisetan et al. 2020, section 4.1, who take a
    /// thousand).
    OutputsInAHundred(f64),
}

impl Numbers {
    /// The numbers of `channel` for a text of these counts, of which `sample` are some ids (any text's, if there is none yet).
    pub fn new(channel: &Channel, counts: Counts, sample: &[u32], rng: &mut impl CryptoRng) -> Self {
        let contract = channel.contract();
        let (survival, plausible) = match channel.response() {
            Some(response) => (response.keep_probability(), originals(response)),
            None => (survival(channel, sample, rng), outputs(channel, sample, rng)),
        };
        let (delta, classical_epsilon) = match channel.mechanism() {
            Mechanism::Gaussian { standard_deviation, delta, .. } => {
                // The original's sensitivity of 2, whatever the region and dimension.
                (Some(delta.get()), Some(classical_epsilon(2.0, standard_deviation, delta)))
            }
            _ => (None, None),
        };
        Self {
            epsilon_per_token: contract.epsilon_per_token(),
            delta,
            epsilon_of_longest_record: contract.epsilon(counts.max_tokens_in_a_record),
            epsilon_of_document: contract.epsilon(counts.tokens),
            survival,
            changed: 1.0 - survival,
            measured: channel.response().is_none(),
            plausible,
            classical_epsilon,
        }
    }

    /// Plain sentences, one each line, for people.
    pub fn sentences(&self, unit: &str) -> Vec<String> {
        let at_delta = self.delta.map_or(String::new(), |delta| format!(" at delta = {delta:e}"));
        let mut sentences = vec![format!(
            "worst case: epsilon = {} for one {unit}, {} for the longest record, {} for all of the text together{at_delta}",
            short(self.epsilon_per_token),
            short(self.epsilon_of_longest_record),
            short(self.epsilon_of_document),
        )];
        if let Some(classical) = self.classical_epsilon {
            sentences.push(format!(
                "the formula of the original service would have said epsilon = {classical:.1} for one {unit}; it holds for epsilon up to 1 only, and takes a \
                 sensitivity of 2 for granted"
            ));
        }
        let how = if self.measured { "measured on this text" } else { "exactly" };
        sentences.push(format!(
            "a {unit} comes out unchanged with chance {:.1} % ({how}); {:.1} % are expected to differ",
            100.0 * self.survival,
            100.0 * self.changed,
        ));
        sentences.push(match self.plausible {
            Plausible::Originals(size) => {
                format!(
                    "whoever sees one output is as unsure as among {} equally likely originals",
                    short(size)
                )
            }
            Plausible::OutputsInAHundred(size) => {
                format!("one {unit} has {} different outputs in 100 draws", short(size))
            }
        });
        sentences
    }
}

fn short(value: f64) -> String {
    if value < 1000.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// e^H(X | Y): for uniform X, H(X | Y) is ln V − I(X; Y).
fn originals(response: &SetRandomizedResponse) -> Plausible {
    Plausible::Originals(f64::from(response.domain()) * (-response.mutual_information()).exp())
}

fn picked(sample: &[u32], count: usize, rng: &mut impl CryptoRng) -> Vec<u32> {
    // The bias of the remainder is of no matter here: samples are far shorter than 2⁶⁴.
    (0..count.min(sample.len())).map(|_| sample[(rng.next_u64() % sample.len() as u64) as usize]).collect()
}

fn survival(channel: &Channel, sample: &[u32], rng: &mut impl CryptoRng) -> f64 {
    let ids = picked(sample, SURVIVAL_DRAWS, rng);
    let outputs = channel.perturb_tokens(&ids, rng);
    let same = ids.iter().zip(&outputs).filter(|(a, b)| a == b).count();
    same as f64 / ids.len().max(1) as f64
}

fn outputs(channel: &Channel, sample: &[u32], rng: &mut impl CryptoRng) -> Plausible {
    let tokens = picked(sample, PLAUSIBLE_TOKENS, rng);
    let different = |&id: &u32| {
        let mut outputs = channel.perturb_tokens(&[id; PLAUSIBLE_DRAWS], rng);
        outputs.sort_unstable();
        outputs.dedup();
        outputs.len()
    };
    let sum: usize = tokens.iter().map(different).sum();
    Plausible::OutputsInAHundred(sum as f64 / tokens.len().max(1) as f64)
}

/// The setting of the original service: 50 dimensions in the box, σ = 0.1, δ = 1e-5, for which it stated ε = 96.9.
pub fn original_setting() -> Mechanism {
    let delta = 1e-5_f64.try_into().expect("1e-5 lies between zero and one");
    Mechanism::Gaussian { standard_deviation: 0.1, delta, region: Region::Box }
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
