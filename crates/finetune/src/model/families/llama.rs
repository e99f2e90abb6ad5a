//! Llama 2 and 3, SmolLM2 and others of their architecture (Touvron et al. 2023); the base of most other families.

use super::rope::rotary;
use super::{Family, Fields, activation};
use crate::model::ModelError;
use crate::model::architecture::{AttentionKind, ModelConfig, Module, Norm, NormKind, Stage, TensorNames};

pub(super) const FAMILY: Family = Family {
    architecture: "LlamaForCausalLM",
    block: NAMES.block,
    modules: &MODULES,
    transposed: false,
    read: |fields| decoder(fields, &DEFAULTS),
};

/// Linear maps of a block.
pub(super) const MODULES: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

pub(super) const NAMES: TensorNames = TensorNames {
    embeddings: "model.embed_tokens",
    positions: None,
    block: "model.layers",
    input_norm: "input_layernorm",
    attention_post_norm: None,
    feed_forward_norm: "post_attention_layernorm",
    feed_forward_post_norm: None,
    query_norm: None,
    key_norm: None,
    final_norm: "model.norm",
    head: "lm_head",
};

/// What `transformers` assumes where a `config.json` leaves a key out.
pub(super) struct Defaults {
    pub(super) family: &'static str,
    pub(super) max_position_embeddings: usize,
    /// `None`: the width of all heads is that of the model.
    pub(super) head_dim: Option<usize>,
    pub(super) tie_word_embeddings: bool,
}

const DEFAULTS: Defaults =
    Defaults { family: "llama", max_position_embeddings: 2048, head_dim: None, tie_word_embeddings: false };
const ROPE_THETA: f64 = 10_000.0;
const RMS_NORM_EPS: f64 = 1e-6;

/// A decoder as Llama's: rotary positions, gated feed-forward blocks, root-mean-square norms before each half.
pub(super) fn decoder(fields: &Fields, defaults: &Defaults) -> Result<ModelConfig, ModelError> {
    let (hidden_size, heads) =
        (fields.required_size("hidden_size")?, fields.required_size("num_attention_heads")?);
    let head_dim = match fields.size("head_dim")?.or(defaults.head_dim) {
        Some(head_dim) => head_dim,
        None => (hidden_size / heads).max(1),
    };
    let positions = fields.size("max_position_embeddings")?.unwrap_or(defaults.max_position_embeddings);
    let rotary = rotary(fields, head_dim, ROPE_THETA)?;
    let num_hidden_layers = fields.layers("num_hidden_layers")?;
    let mut config = ModelConfig {
        family: defaults.family,
        vocab_size: fields.required_size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.required_size("intermediate_size")?,
        num_hidden_layers,
        num_attention_heads: heads,
        num_key_value_heads: fields.size("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        max_position_embeddings: rotary.positions.unwrap_or(positions),
        norm: Norm { kind: NormKind::Rms, epsilon: fields.or("rms_norm_eps", RMS_NORM_EPS)? },
        ropes: vec![rotary.rope],
        attention: vec![AttentionKind { rope: Some(0), window: None }; num_hidden_layers],
        attention_scale: (head_dim as f64).sqrt().recip(),
        attention_softcap: None,
        logit_softcap: None,
        embedding_scale: 1.0,
        activation: activation(fields, "hidden_act", "silu")?,
        gated: true,
        modules: Vec::new(),
        tie_word_embeddings: fields.or("tie_word_embeddings", defaults.tie_word_embeddings)?,
        names: NAMES,
        bos_token_id: fields.get("bos_token_id")?,
        eos_token_ids: fields.tokens("eos_token_id")?,
    };
    let (attention_bias, mlp_bias) = (fields.or("attention_bias", false)?, fields.or("mlp_bias", false)?);
    config.modules = modules(&config, attention_bias, mlp_bias);
    Ok(config)
}

fn modules(config: &ModelConfig, attention_bias: bool, mlp_bias: bool) -> Vec<Module> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let (query, key) = (config.query_width(), config.key_value_width());
    let places = [
        (Stage::QueryKeyValue, 0, hidden, query),
        (Stage::QueryKeyValue, query, hidden, key),
        (Stage::QueryKeyValue, query + key, hidden, key),
        (Stage::AttentionOutput, 0, query, hidden),
        (Stage::Up, 0, hidden, inner),
        (Stage::Up, inner, hidden, inner),
        (Stage::Down, 0, inner, hidden),
    ];
    let module = |(path, (stage, offset, input, output)): (&'static str, (Stage, usize, usize, usize))| {
        let bias = if stage.is_attention() { attention_bias } else { mlp_bias };
        Module::new(path, stage, offset, (input, output)).with_bias(bias)
    };
    MODULES.into_iter().zip(places).map(module).collect()
}
