//! Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on queries, keys and values; upper blocks may see a window.

use super::llama::{Defaults, MODULES, NAMES, decoder};
use super::{Family, Fields, set_windows};
use crate::model::ModelError;
use crate::model::architecture::{ModelConfig, Stage};

pub(super) const FAMILY: Family = Family {
    architecture: "Qwen2ForCausalLM",
    block: NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

const DEFAULTS: Defaults =
    Defaults { family: "qwen2", max_position_embeddings: 32_768, head_dim: None, tie_word_embeddings: false };
const SLIDING_WINDOW: usize = 4096;
const MAX_WINDOW_LAYERS: usize = 28;

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    let mut config = decoder(fields, &DEFAULTS)?;
    for module in &mut config.modules {
        module.bias = module.stage == Stage::QueryKeyValue;
    }
    set_upper_windows(&mut config, fields)?;
    Ok(config)
}

/// The window of the blocks from `max_window_layers` on, where `use_sliding_window` says so.
pub(super) fn set_upper_windows(config: &mut ModelConfig, fields: &Fields) -> Result<(), ModelError> {
    if !fields.or("use_sliding_window", false)? {
        return Ok(());
    }
    let default = (!fields.has("sliding_window")).then_some(SLIDING_WINDOW);
    let Some(window) = fields.size("sliding_window")?.or(default) else { return Ok(()) };
    let full = fields.or("max_window_layers", MAX_WINDOW_LAYERS)?;
    set_windows(config, fields, window, |layer| layer >= full)
}
