//! The settings of a run: values outside of their ranges can neither be built nor deserialised.

use serde::{Deserialize, Serialize};

use crate::{Clip, Word2VecError};

/// Settings as they are written down; [`Config::new`] checks them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Dimensions of a vector, 1 to 512.
    pub dim: usize,
    /// Largest distance, in words, of a word and its context: 1 to 100. Each centre draws its own from 1 to this.
    pub window: u32,
    /// Negative samples of each centre, 1 to 15; all its contexts share them.
    pub negative: usize,
    /// Rarer words are left out, as if the text had been written without them.
    pub min_count: u64,
    /// The most frequent words that are kept, at least 2.
    pub max_words: usize,
    /// Relative frequency above which words are left out at random (Mikolov et al. 2013b, section 2.3); 0 keeps all.
    pub sample: f64,
    /// Passes over the text, at least 1.
    pub epochs: u32,
    /// The learning rate at the start; it falls linearly to 0.
    pub learning_rate: f64,
    /// Decay of the first moment per step, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment per step, in (0, 1), above `beta1`².
    pub beta2: f64,
    /// AdamW's ε, above 0.
    pub epsilon: f64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
    /// Words of the text that make one optimiser step, 16 to 65,536.
    pub step_words: usize,
    /// Where the vectors are kept.
    pub clip: Clip,
    /// Threads, 1 to 256. With one, the same seed gives the same bits.
    pub threads: usize,
    /// Seeds the start values and all sampling.
    pub seed: u64,
}

impl Default for Settings {
    /// What the issue asks for; the optimiser's numbers were tuned on WordSim-353 and the Google analogies.
    fn default() -> Self {
        Self {
            dim: 50,
            window: 5,
            negative: 8,
            min_count: 3,
            max_words: 100_000,
            sample: 1e-4,
            epochs: 5,
            learning_rate: 0.002,
            beta1: 0.9,
            beta2: 0.99999,
            epsilon: 1e-8,
            weight_decay: 0.001,
            step_words: 128,
            clip: Clip::Box,
            threads: 1,
            seed: 1,
        }
    }
}

/// Checked [`Settings`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Config(Settings);

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Word2VecError::Setting`] names the first one that is out of range.
    pub fn new(settings: Settings) -> Result<Self, Word2VecError> {
        let s = &settings;
        let checks: [(&'static str, f64, bool, &'static str); 13] = [
            ("dim", s.dim as f64, (1..=512).contains(&s.dim), "1 to 512"),
            ("window", f64::from(s.window), (1..=100).contains(&s.window), "1 to 100"),
            ("negative", s.negative as f64, (1..=15).contains(&s.negative), "1 to 15"),
            ("min_count", s.min_count as f64, s.min_count >= 1, "at least 1"),
            ("max_words", s.max_words as f64, (2..=1 << 24).contains(&s.max_words), "2 to 16,777,216"),
            ("sample", s.sample, (0.0..1.0).contains(&s.sample), "in [0, 1)"),
            ("epochs", f64::from(s.epochs), s.epochs >= 1, "at least 1"),
            ("learning_rate", s.learning_rate, s.learning_rate > 0.0 && s.learning_rate <= 1.0, "in (0, 1]"),
            ("beta1", s.beta1, (0.0..1.0).contains(&s.beta1), "in [0, 1)"),
            // Above beta1² the moves of a row that sleeps fade (see `adamw`).
            ("beta2", s.beta2, s.beta2 > s.beta1 * s.beta1 && s.beta2 < 1.0, "above beta1² and below 1"),
            ("epsilon", s.epsilon, s.epsilon > 0.0 && s.epsilon <= 1.0, "in (0, 1]"),
            ("weight_decay", s.weight_decay, (0.0..=10.0).contains(&s.weight_decay), "in [0, 10]"),
            ("step_words", s.step_words as f64, (16..=65_536).contains(&s.step_words), "16 to 65,536"),
        ];
        if let Some(&(name, value, _, range)) = checks.iter().find(|check| !check.2) {
            return Err(Word2VecError::Setting { name, value, range });
        }
        if !(1..=256).contains(&s.threads) {
            return Err(Word2VecError::Setting {
                name: "threads",
                value: s.threads as f64,
                range: "1 to 256",
            });
        }
        Ok(Self(settings))
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0
    }

    /// The same run, for the comparison of runs that may differ in their number of threads.
    pub(crate) fn with_one_thread(&self) -> Self {
        Self(Settings { threads: 1, ..self.0.clone() })
    }
}

impl std::ops::Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl TryFrom<Settings> for Config {
    type Error = Word2VecError;

    fn try_from(settings: Settings) -> Result<Self, Word2VecError> {
        Self::new(settings)
    }
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        config.0
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
