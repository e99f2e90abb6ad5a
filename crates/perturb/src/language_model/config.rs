//! `config.json`, read into checked sizes.

use serde::Deserialize;
use serde_json::Value;

use super::LanguageModelError;

const ARCHITECTURE: &str = "LlamaForCausalLM";
/// No size in use comes near; products of two sizes stay below 2³⁰ and cannot overflow where a pointer has 32 bits.
const MAX_SIZE: usize = 1 << 15;
/// Ids are u32 and the largest vocabularies in use have a quarter of a million.
const MAX_VOCABULARY: usize = 1 << 24;
// What the Hugging Face library takes where the file says nothing.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;
const DEFAULT_RMS_NORM_EPS: f64 = 1e-6;
const DEFAULT_POSITIONS: usize = 2048;

/// Shape and constants of a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LanguageModelConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// Width between the blocks.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads, each shared by equally many query heads.
    pub num_key_value_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Tokens that can be read in one piece.
    pub max_position_embeddings: usize,
    /// Added to a mean square before the root is taken.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the embeddings are the output head as well.
    pub tie_word_embeddings: bool,
    /// The token in front of every text.
    pub bos_token_id: Option<u32>,
}

/// The keys that decide the computation; others are not minded.
#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    hidden_act: Option<String>,
    quantization_config: Option<Value>,
    bos_token_id: Option<u32>,
}

impl LanguageModelConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`LanguageModelError::Unsupported`] for a model of another kind, [`LanguageModelError::Config`] for what no model can be.
    pub fn from_json(bytes: &[u8]) -> Result<Self, LanguageModelError> {
        let json: Value = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        // First of all, because a model of another kind may lack any other key.
        if json["architectures"] != serde_json::json!([ARCHITECTURE]) {
            return Err(unsupported(format!("the architecture {}", json["architectures"]), ARCHITECTURE));
        }
        let keys: Keys = serde_json::from_value(json).map_err(|error| invalid(error.to_string()))?;
        check_features(&keys)?;
        let config = Self::from_keys(&keys);
        config.check()?;
        Ok(config)
    }

    fn from_keys(keys: &Keys) -> Self {
        let heads = keys.num_attention_heads;
        let newer_theta =
            keys.rope_parameters.as_ref().and_then(|rope| rope.get("rope_theta")).and_then(Value::as_f64);
        Self {
            vocab_size: keys.vocab_size,
            hidden_size: keys.hidden_size,
            intermediate_size: keys.intermediate_size,
            num_hidden_layers: keys.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: keys.num_key_value_heads.unwrap_or(heads),
            head_dim: keys.head_dim.unwrap_or(keys.hidden_size / heads.max(1)),
            max_position_embeddings: keys.max_position_embeddings.unwrap_or(DEFAULT_POSITIONS),
            rms_norm_eps: keys.rms_norm_eps.unwrap_or(DEFAULT_RMS_NORM_EPS),
            rope_theta: keys.rope_theta.or(newer_theta).unwrap_or(DEFAULT_ROPE_THETA),
            tie_word_embeddings: keys.tie_word_embeddings.unwrap_or(false),
            bos_token_id: keys.bos_token_id,
        }
    }

    fn check(&self) -> Result<(), LanguageModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_SIZE),
            ("intermediate_size", self.intermediate_size, MAX_SIZE),
            ("num_hidden_layers", self.num_hidden_layers, MAX_SIZE),
            ("num_attention_heads", self.num_attention_heads, MAX_SIZE),
            ("num_key_value_heads", self.num_key_value_heads, MAX_SIZE),
            ("head_dim", self.head_dim, MAX_SIZE),
            ("max_position_embeddings", self.max_position_embeddings, usize::MAX),
        ];
        if let Some((name, size, _)) = sizes.iter().find(|(_, size, most)| *size == 0 || size > most) {
            return Err(invalid(format!("{name} is {size}")));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(invalid("the heads are not a multiple of the key and value heads".to_owned()));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(invalid(format!("head_dim is {}, which has no pairs to rotate", self.head_dim)));
        }
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        if !is_positive(self.rms_norm_eps) || !is_positive(self.rope_theta) {
            return Err(invalid("rms_norm_eps and rope_theta must be positive".to_owned()));
        }
        match self.bos_token_id {
            Some(id) if id as usize >= self.vocab_size => {
                Err(invalid(format!("bos_token_id {id} is no token")))
            }
            _ => Ok(()),
        }
    }

    /// Width of all query heads.
    pub(super) fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads, which is that of all value heads.
    pub(super) fn key_value_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// θ^(−2i/d) for the pairs i of a head of d channels (Su et al. 2021, section 3.2.2).
    pub(super) fn rotary_frequencies(&self) -> Vec<f64> {
        let exponent = |pair: usize| -2.0 * pair as f64 / self.head_dim as f64;
        (0..self.head_dim / 2).map(|pair| self.rope_theta.powf(exponent(pair))).collect()
    }
}

fn check_features(keys: &Keys) -> Result<(), LanguageModelError> {
    if let Some(activation) = keys.hidden_act.as_deref().filter(|name| *name != "silu") {
        return Err(unsupported(format!("the activation {activation}"), "silu"));
    }
    if keys.attention_bias == Some(true) || keys.mlp_bias == Some(true) {
        return Err(unsupported("biases".to_owned(), "projections without biases"));
    }
    if keys.quantization_config.is_some() {
        return Err(unsupported("quantised weights".to_owned(), "F32, F16 or BF16 weights"));
    }
    let kind = |rope: &Value| rope.get("rope_type").or(rope.get("type")).cloned().unwrap_or_default();
    let ropes = [&keys.rope_scaling, &keys.rope_parameters].into_iter().flatten();
    match ropes.filter(|rope| !rope.is_null()).map(kind).find(|kind| kind != "default") {
        Some(kind) => Err(unsupported(format!("the rotary scaling {kind}"), "plain rotary positions")),
        None => Ok(()),
    }
}

fn invalid(reason: String) -> LanguageModelError {
    LanguageModelError::Config(reason)
}

fn unsupported(found: String, supported: &'static str) -> LanguageModelError {
    LanguageModelError::Unsupported { found, supported }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
