//! Gemma 3, text only (Gemma Team 2025): Gemma 2 with norms on queries and keys in place of soft caps, and five blocks
//! with a sliding window and their own rotary base for each block without one.

use super::gemma2::{self, decoder};
use super::llama::{Defaults, MODULES};
use super::{Family, Fields, rope, sliding, unsupported};
use crate::model::ModelError;
use crate::model::architecture::{AttentionKind, ModelConfig, TensorNames};
use serde_json::json;

pub(super) const FAMILY: Family = Family {
    architecture: "Gemma3ForCausalLM",
    block: gemma2::NAMES.block,
    modules: &MODULES,
    transposed: false,
    read,
};

const DEFAULTS: Defaults = Defaults {
    family: "gemma3_text",
    max_position_embeddings: 131_072,
    head_dim: Some(256),
    tie_word_embeddings: true,
};
const SLIDING_WINDOW: usize = 4096;
/// Every sixth block sees all keys.
const PATTERN: usize = 6;
const GLOBAL_THETA: f64 = 1e6;
const LOCAL_THETA: f64 = 1e4;
/// Index in [`ModelConfig::ropes`].
const GLOBAL: usize = 0;
const LOCAL: usize = 1;

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    check_features(fields)?;
    // The rotary embeddings are read below: this family has two.
    let mut config = decoder(&fields.without(&["rope_parameters", "rope_scaling", "rope_theta"]), &DEFAULTS)?;
    config.ropes = ropes(fields, config.head_dim)?;
    config.logit_softcap = fields.get("final_logit_softcapping")?;
    config.names = TensorNames {
        query_norm: Some("self_attn.q_norm"),
        key_norm: Some("self_attn.k_norm"),
        ..config.names
    };
    let pattern = match fields.size("sliding_window_pattern")? {
        Some(pattern) => pattern,
        None => fields.size("_sliding_window_pattern")?.unwrap_or(PATTERN),
    };
    let window = fields.size("sliding_window")?.unwrap_or(SLIDING_WINDOW);
    let slides = |layer: usize| !(layer + 1).is_multiple_of(pattern);
    config.attention = sliding(config.num_hidden_layers, fields, slides)?
        .into_iter()
        .map(|slides| match slides {
            true => AttentionKind { rope: Some(LOCAL), window: Some(window) },
            false => AttentionKind { rope: Some(GLOBAL), window: None },
        })
        .collect();
    Ok(config)
}

fn check_features(fields: &Fields) -> Result<(), ModelError> {
    if fields.or("use_bidirectional_attention", false)? {
        return Err(unsupported("attention in both directions".into(), "causal attention"));
    }
    match fields.get::<f64>("attn_logit_softcapping")? {
        Some(_) => {
            Err(unsupported("a soft cap on a Gemma 3's scores".into(), "attn_logit_softcapping: null"))
        }
        None => Ok(()),
    }
}

/// The global embedding and the local one. Newer files nest both under `rope_parameters`.
fn ropes(fields: &Fields, head_dim: usize) -> Result<Vec<crate::model::architecture::Rope>, ModelError> {
    let nested = fields.object("rope_parameters")?;
    let part = |key: &str| nested.as_ref().map(|n| n.object(key)).transpose().map(Option::flatten);
    let default = || Fields::new(json!({"rope_type": "default"}));
    let (global, local) = (part("full_attention")?, part("sliding_attention")?);
    let global = match global {
        Some(global) => global,
        None => fields.object("rope_scaling")?.unwrap_or_else(default),
    };
    let local = local.unwrap_or_else(default);
    let global_theta = match fields.get("rope_theta")? {
        Some(theta) => theta,
        None => global.or("rope_theta", GLOBAL_THETA)?,
    };
    let local_theta = match fields.get("rope_local_base_freq")? {
        Some(theta) => theta,
        None => local.or("rope_theta", LOCAL_THETA)?,
    };
    Ok(vec![
        rope::of_parameters(fields, &global, head_dim, global_theta)?.rope,
        rope::of_parameters(fields, &local, head_dim, local_theta)?.rope,
    ])
}
