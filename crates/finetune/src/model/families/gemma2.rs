//! Gemma 2 (Gemma Team 2024): norms around each half of a block, soft caps, every other block with a sliding window.

use super::llama::{self, Defaults, MODULES};
use super::{Family, Fields, activation, set_windows};
use crate::model::ModelError;
use crate::model::architecture::{ModelConfig, NormKind, TensorNames};

pub(super) const FAMILY: Family = Family {
    architecture: "Gemma2ForCausalLM",
    block: NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

pub(super) const NAMES: TensorNames = TensorNames {
    attention_post_norm: Some("post_attention_layernorm"),
    feed_forward_norm: "pre_feedforward_layernorm",
    feed_forward_post_norm: Some("post_feedforward_layernorm"),
    ..llama::NAMES
};

const DEFAULTS: Defaults = Defaults {
    family: "gemma2",
    max_position_embeddings: 8192,
    head_dim: Some(256),
    tie_word_embeddings: true,
};
const SLIDING_WINDOW: usize = 4096;
const QUERY_PRE_ATTN_SCALAR: f64 = 256.0;
const ATTENTION_SOFTCAP: f64 = 50.0;
const LOGIT_SOFTCAP: f64 = 30.0;

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    let mut config = decoder(fields, &DEFAULTS)?;
    config.attention_softcap = softcap(fields, "attn_logit_softcapping", ATTENTION_SOFTCAP)?;
    config.logit_softcap = softcap(fields, "final_logit_softcapping", LOGIT_SOFTCAP)?;
    let window = fields.size("sliding_window")?.unwrap_or(SLIDING_WINDOW);
    set_windows(&mut config, fields, window, |layer| layer.is_multiple_of(2))?;
    Ok(config)
}

/// Unlike an absent cap, one of `null` is none.
fn softcap(fields: &Fields, key: &str, default: f64) -> Result<Option<f64>, ModelError> {
    Ok(fields.get(key)?.or((!fields.has(key)).then_some(default)))
}

/// What Gemma 2 and 3 have in common.
pub(super) fn decoder(fields: &Fields, defaults: &Defaults) -> Result<ModelConfig, ModelError> {
    let mut config = llama::decoder(fields, defaults)?;
    config.norm.kind = NormKind::RmsPlusOne;
    config.names = NAMES;
    config.activation = activation(fields, "hidden_activation", "gelu_pytorch_tanh")?;
    let scalar: f64 = fields.or("query_pre_attn_scalar", QUERY_PRE_ATTN_SCALAR)?;
    config.attention_scale = scalar.sqrt().recip();
    config.embedding_scale = (config.hidden_size as f64).sqrt();
    Ok(config)
}
