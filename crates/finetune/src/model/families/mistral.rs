//! Mistral (Jiang et al. 2023): Llama, whose blocks all see a sliding window.

use super::llama::{Defaults, MODULES, NAMES, decoder};
use super::{Family, Fields, set_windows};
use crate::model::ModelError;
use crate::model::architecture::ModelConfig;

pub(super) const FAMILY: Family = Family {
    architecture: "MistralForCausalLM",
    block: NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

const DEFAULTS: Defaults = Defaults {
    family: "mistral",
    max_position_embeddings: 131_072,
    head_dim: None,
    tie_word_embeddings: false,
};
const SLIDING_WINDOW: usize = 4096;

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    let mut config = decoder(fields, &DEFAULTS)?;
    // Unlike an absent one, a window of `null` is none.
    let default = (!fields.has("sliding_window")).then_some(SLIDING_WINDOW);
    if let Some(window) = fields.size("sliding_window")?.or(default) {
        set_windows(&mut config, fields, window, |_| true)?;
    }
    Ok(config)
}
