//! `config.json`, read into a checked [`ModelConfig`] by the family that it names.

use serde_json::Value;

use super::architecture::{ModelConfig, Stage};
use super::families::{self, Fields};
use super::{CONFIG_FILE, ModelError};

impl ModelConfig {
    /// Reads and checks the bytes of a `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another architecture or feature, [`ModelError::Config`] for values that
    /// are missing or contradict each other.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        // The architecture comes first: another family's file may lack every other key.
        let family = families::of(&value)?;
        let fields = Fields::new(value);
        if fields.get::<Value>("quantization_config")?.is_some() {
            return Err(unsupported("quantised weights".into(), "F32, F16 or BF16 weights"));
        }
        let config = (family.read)(&fields)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ModelError> {
        let (heads, groups) = (self.num_attention_heads, self.num_key_value_heads);
        if !heads.is_multiple_of(groups) {
            return Err(invalid(format!(
                "num_attention_heads ({heads}) is not a multiple of num_key_value_heads ({groups})"
            )));
        }
        let positive = [
            ("the norm's epsilon", Some(self.norm.epsilon)),
            ("the attention's scale", Some(self.attention_scale)),
            ("the attention's soft cap", self.attention_softcap),
            ("the logits' soft cap", self.logit_softcap),
        ];
        let bad = |value: &f64| !(value.is_finite() && *value > 0.0);
        if let Some((name, Some(value))) = positive.iter().find(|(_, v)| v.as_ref().is_some_and(bad)) {
            return Err(invalid(format!("{name} is {value}, but must be positive")));
        }
        self.check_ropes()?;
        debug_assert_eq!(self.attention.len(), self.num_hidden_layers);
        debug_assert!(Stage::ALL.iter().all(|&stage| self.modules_tile(stage)), "modules leave a gap");
        let specials = self.bos_token_id.iter().chain(&self.eos_token_ids);
        match specials.copied().find(|&id| id as usize >= self.vocab_size) {
            Some(id) => Err(invalid(format!("special token {id} is outside of the vocabulary"))),
            None => Ok(()),
        }
    }

    fn check_ropes(&self) -> Result<(), ModelError> {
        for rope in &self.ropes {
            let usable = |f: &f64| f.is_finite() && *f > 0.0;
            if !(rope.inverse_frequencies.iter().all(usable) && usable(&rope.scale)) {
                return Err(invalid("the rotary embedding has a frequency that is not positive".into()));
            }
        }
        Ok(())
    }

    /// Whether the modules of a stage fill its output, in order and without a gap.
    fn modules_tile(&self, stage: Stage) -> bool {
        let (input, output) = self.stage_widths(stage);
        let mut next = 0;
        let fits = self.stage_modules(stage).all(|(_, module)| {
            let starts = module.offset == next;
            next += module.output;
            starts && module.input == input
        });
        fits && next == output
    }
}

pub(super) fn invalid(reason: String) -> ModelError {
    ModelError::Config { file: CONFIG_FILE, reason }
}

pub(super) fn unsupported(found: String, supported: &str) -> ModelError {
    ModelError::Unsupported { found, supported: supported.to_owned() }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
