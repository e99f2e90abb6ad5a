//! Phi-3 and Phi-3.5 mini (Abdin et al. 2024), Phi-4: Llama with fused projections, partial and long rotary positions.

use super::llama::{self, Defaults, decoder};
use super::{Family, Fields, set_windows};
use crate::model::ModelError;
use crate::model::architecture::{ModelConfig, Module, Stage};

pub(super) const FAMILY: Family = Family {
    architecture: "Phi3ForCausalLM",
    block: llama::NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

const MODULES: [&str; 4] = ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"];

const DEFAULTS: Defaults =
    Defaults { family: "phi3", max_position_embeddings: 4096, head_dim: None, tie_word_embeddings: false };

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    let mut config = decoder(fields, &DEFAULTS)?;
    let module = |(path, stage)| Module::new(path, stage, 0, config.stage_widths(stage));
    config.modules = MODULES.into_iter().zip(Stage::ALL).map(module).collect();
    if let Some(window) = fields.size("sliding_window")? {
        set_windows(&mut config, fields, window, |_| true)?;
    }
    Ok(config)
}
