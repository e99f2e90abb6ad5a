//! GPT-2 (Radford et al. 2019): learned positions, layer norms, a plain feed-forward block, weights stored
//! `[input, output]`.

use super::{Family, Fields, activation, invalid, unsupported};
use crate::model::ModelError;
use crate::model::architecture::{AttentionKind, ModelConfig, Module, Norm, NormKind, Stage, TensorNames};

pub(super) const FAMILY: Family =
    Family { architecture: "GPT2LMHeadModel", block: NAMES.block, modules: &MODULES, transposed: true, read };

const MODULES: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

const NAMES: TensorNames = TensorNames {
    embeddings: "transformer.wte",
    positions: Some("transformer.wpe"),
    block: "transformer.h",
    input_norm: "ln_1",
    attention_post_norm: None,
    feed_forward_norm: "ln_2",
    feed_forward_post_norm: None,
    query_norm: None,
    key_norm: None,
    final_norm: "transformer.ln_f",
    head: "lm_head",
};

const LAYER_NORM_EPSILON: f64 = 1e-5;

fn read(fields: &Fields) -> Result<ModelConfig, ModelError> {
    check_features(fields)?;
    let (hidden_size, heads) = (fields.required_size("n_embd")?, fields.required_size("n_head")?);
    if !hidden_size.is_multiple_of(heads) {
        return Err(invalid(format!("n_embd ({hidden_size}) is not a multiple of n_head ({heads})")));
    }
    let (head_dim, num_hidden_layers) = (hidden_size / heads, fields.layers("n_layer")?);
    let scaled: bool = fields.or("scale_attn_weights", true)?;
    let mut config = ModelConfig {
        family: "gpt2",
        vocab_size: fields.required_size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.size("n_inner")?.unwrap_or(4 * hidden_size),
        num_hidden_layers,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim,
        max_position_embeddings: fields.required_size("n_positions")?,
        norm: Norm { kind: NormKind::Layer, epsilon: fields.or("layer_norm_epsilon", LAYER_NORM_EPSILON)? },
        ropes: Vec::new(),
        attention: vec![AttentionKind { rope: None, window: None }; num_hidden_layers],
        attention_scale: if scaled { (head_dim as f64).sqrt().recip() } else { 1.0 },
        attention_softcap: None,
        logit_softcap: None,
        embedding_scale: 1.0,
        activation: activation(fields, "activation_function", "gelu_new")?,
        gated: false,
        modules: Vec::new(),
        tie_word_embeddings: fields.or("tie_word_embeddings", true)?,
        names: NAMES,
        bos_token_id: fields.get("bos_token_id")?,
        eos_token_ids: fields.tokens("eos_token_id")?,
    };
    let module = |(path, stage)| Module {
        bias: true,
        transposed: true,
        ..Module::new(path, stage, 0, config.stage_widths(stage))
    };
    config.modules = MODULES.into_iter().zip(Stage::ALL).map(module).collect();
    Ok(config)
}

/// Options of GPT-2's configuration that change the computation must be off.
fn check_features(fields: &Fields) -> Result<(), ModelError> {
    for option in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
        if fields.or(option, false)? {
            return Err(unsupported(option.to_owned(), &format!("{option}: false")));
        }
    }
    Ok(())
}
