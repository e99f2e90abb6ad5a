//! `config.json` of a Llama-family model, read into checked values.

use serde::Deserialize;

use super::ModelError;

const FILE: &str = "config.json";
const SUPPORTED_ARCHITECTURE: &str = "LlamaForCausalLM";
/// What `transformers` assumes where `config.json` leaves `rope_theta` out.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;
/// What `transformers` assumes where `config.json` leaves `max_position_embeddings` out.
const DEFAULT_POSITIONS: usize = 2048;
/// What `transformers` assumes where `config.json` leaves `rms_norm_eps` out.
const DEFAULT_RMS_NORM_EPS: f64 = 1e-6;

/// Shape and constants of a Llama-family causal language model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LlamaConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads (grouped-query attention).
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Longest sequence the model was made for.
    pub max_position_embeddings: usize,
    /// Added to the mean square before its root.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies, for Llama 3.1 and later.
    pub rope_scaling: Option<Llama3RopeScaling>,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Whether the attention projections have biases.
    pub attention_bias: bool,
    /// Token put before a sequence.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a sequence; the first one is put after training sequences.
    pub eos_token_ids: Vec<u32>,
}

/// The `llama3` rule for rotary frequencies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Llama3RopeScaling {
    /// Long wavelengths are stretched by this factor.
    pub factor: f64,
    /// Wavelengths above `original / low_freq_factor` are stretched fully.
    pub low_freq_factor: f64,
    /// Wavelengths below `original / high_freq_factor` are left alone.
    pub high_freq_factor: f64,
    /// Context length before stretching.
    pub original_max_position_embeddings: usize,
}

/// `config.json` as it is written; keys that do not change the computation are ignored.
#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    architectures: Vec<String>,
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
    rope_scaling: Option<serde_json::Value>,
    rope_parameters: Option<serde_json::Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: Option<String>,
    quantization_config: Option<serde_json::Value>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl LlamaConfig {
    /// Reads and checks the bytes of a `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another architecture or feature, [`ModelError::Config`] for values that
    /// contradict each other.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ModelError> {
        // The architecture comes first: another family's file may lack every other key.
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))?;
        check_architecture(&value)?;
        let raw: RawConfig = serde_json::from_value(value).map_err(|e| invalid(e.to_string()))?;
        check_features(&raw)?;
        let config = Self::from_raw(raw)?;
        config.check_sizes()?;
        Ok(config)
    }

    fn from_raw(raw: RawConfig) -> Result<Self, ModelError> {
        let rope = raw.rope_parameters.as_ref();
        let theta = rope.and_then(|r| r.get("rope_theta")).and_then(serde_json::Value::as_f64);
        Ok(Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim: raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads.max(1)),
            max_position_embeddings: raw.max_position_embeddings.unwrap_or(DEFAULT_POSITIONS),
            rms_norm_eps: raw.rms_norm_eps.unwrap_or(DEFAULT_RMS_NORM_EPS),
            rope_theta: raw.rope_theta.or(theta).unwrap_or(DEFAULT_ROPE_THETA),
            rope_scaling: rope_scaling(raw.rope_scaling.as_ref().or(rope))?,
            tie_word_embeddings: raw.tie_word_embeddings,
            attention_bias: raw.attention_bias,
            bos_token_id: raw.bos_token_id,
            eos_token_ids: match raw.eos_token_id {
                None => Vec::new(),
                Some(OneOrMany::One(id)) => vec![id],
                Some(OneOrMany::Many(ids)) => ids,
            },
        })
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn key_value_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    fn check_sizes(&self) -> Result<(), ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(invalid(format!("{name} is 0")));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(invalid(format!(
                "num_attention_heads ({}) is not a multiple of num_key_value_heads ({})",
                self.num_attention_heads, self.num_key_value_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(invalid(format!(
                "head_dim ({}) is odd, and rotary positions need pairs",
                self.head_dim
            )));
        }
        let positive = [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)];
        if let Some((name, value)) = positive.iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            return Err(invalid(format!("{name} is {value}, but must be positive")));
        }
        let specials = self.bos_token_id.iter().chain(&self.eos_token_ids);
        match specials.copied().find(|&id| id as usize >= self.vocab_size) {
            Some(id) => Err(invalid(format!("special token {id} is outside of the vocabulary"))),
            None => Ok(()),
        }
    }
}

fn invalid(reason: String) -> ModelError {
    ModelError::Config { file: FILE, reason }
}

fn unsupported(found: String, supported: &'static str) -> ModelError {
    ModelError::Unsupported { found, supported }
}

fn check_architecture(config: &serde_json::Value) -> Result<(), ModelError> {
    let names: Vec<&str> = config
        .get("architectures")
        .and_then(|a| a.as_array())
        .map(|a| a.iter().filter_map(|v| v.as_str()).collect())
        .unwrap_or_default();
    if names == [SUPPORTED_ARCHITECTURE] {
        return Ok(());
    }
    let found = if names.is_empty() { "no named architecture".into() } else { names.join(", ") };
    Err(unsupported(format!("the architecture {found}"), SUPPORTED_ARCHITECTURE))
}

fn check_features(raw: &RawConfig) -> Result<(), ModelError> {
    debug_assert_eq!(raw.architectures, [SUPPORTED_ARCHITECTURE]);
    match raw.hidden_act.as_deref() {
        None | Some("silu") => {}
        Some(other) => return Err(unsupported(format!("the activation {other}"), "silu")),
    }
    if raw.mlp_bias {
        return Err(unsupported("biases in the feed-forward block".into(), "mlp_bias: false"));
    }
    if raw.quantization_config.is_some() {
        return Err(unsupported("quantised weights".into(), "F32, F16 or BF16 weights"));
    }
    Ok(())
}

/// `null`, `{"rope_type": "default"}` or the `llama3` rule; older files say `type` for `rope_type`.
fn rope_scaling(value: Option<&serde_json::Value>) -> Result<Option<Llama3RopeScaling>, ModelError> {
    let Some(value) = value.filter(|v| !v.is_null()) else { return Ok(None) };
    let kind = value.get("rope_type").or_else(|| value.get("type")).and_then(|v| v.as_str());
    match kind {
        Some("default") => Ok(None),
        Some("llama3") => serde_json::from_value(value.clone()).map(Some).map_err(|e| invalid(e.to_string())),
        other => {
            Err(unsupported(format!("rope scaling {}", other.unwrap_or("without a type")), "default, llama3"))
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
