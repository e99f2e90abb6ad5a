//! Qwen3 (Yang et al. 2025): Llama with norms on the heads of queries and keys, and heads of their own width.

use super::llama::{Defaults, MODULES, NAMES, decoder};
use super::qwen2::set_upper_windows;
use super::{Family, Fields};
use crate::model::ModelError;
use crate::model::architecture::{ModelConfig, TensorNames};

pub(super) const FAMILY: Family = Family {
    architecture: "Qwen3ForCausalLM",
    block: NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

const DEFAULTS: Defaults = Defaults {
    family: "qwen3",
    max_position_embeddings: 32_768,
    head_dim: Some(128),
    tie_word_embeddings: false,
};

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    let mut config = decoder(fields, &DEFAULTS)?;
    config.names = TensorNames {
        query_norm: Some("self_attn.q_norm"),
        key_norm: Some("self_attn.k_norm"),
        ..config.names
    };
    set_upper_windows(&mut config, fields)?;
    Ok(config)
}
