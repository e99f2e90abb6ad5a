//! A small Llama for inference, in a page as on a server.
//!
//! It plays the attacker of [`attack`](crate::attack): it says how likely each token is after a given beginning. Training is
//! none of its business, and it needs no tensor library, so that it runs in a browser's worker:
//!
//! ```text
//! config.json, model.safetensors ─ load ─▶ LanguageModel ─ advance(KeyValueCache, tokens) ─▶ logits of the next token
//! ```
//!
//! # Contract
//! `load` takes any bytes: whatever is wrong with them is a [`LanguageModelError`], never a panic. `advance` computes the Llama
//! forward pass in f32 (RMS norm, rotary positions in the half-split layout, grouped-query attention, SwiGLU); many caches can
//! be advanced in one call, which reads each weight once for all of them. A [`KeyValueCache`] can be cloned and cut at the
//! cost of a pointer for each token, which is what a beam search needs.
//!
//! Results differ between processors in the last bits: nothing that is promised may depend on them.

mod cache;
mod config;
mod error;
mod forward;
mod kernels;
mod weights;

#[cfg(test)]
pub(crate) mod fixtures;

pub use cache::KeyValueCache;
pub use config::LanguageModelConfig;
pub use error::LanguageModelError;
pub use forward::log_softmax;

use weights::{EMBEDDINGS, HEAD, Tensors};

/// Largest weights file that is taken: 32 MiB, 16 M parameters in bf16. In a browser, where 4 M parameters read some 1,000 tokens
/// a second, that is about 250, and the attack reads five for each token; a larger model would not be waited for.
pub const MAX_WEIGHT_BYTES: usize = 32 * 1024 * 1024;

/// A Llama-family causal language model, its weights in f32.
pub struct LanguageModel {
    config: LanguageModelConfig,
    /// `[vocabulary, hidden]`
    embeddings: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Vec<f32>,
    /// `[vocabulary, hidden]`; `None` where the embeddings serve as the head.
    head: Option<Vec<f32>>,
    /// Radians a position, one for each pair of a head's channels.
    frequencies: Vec<f64>,
}

/// One block. A matrix is `[out, in]`, row by row.
struct Layer {
    input_norm: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    output: Vec<f32>,
    post_attention_norm: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

impl std::fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModel").field("config", &self.config).finish_non_exhaustive()
    }
}

impl LanguageModel {
    /// Reads the bytes of a `config.json` and of the one `model.safetensors` (F32, F16 or BF16) that belongs to it. Every
    /// tensor must be there with its shape and finite values, and none may be left over.
    ///
    /// # Errors
    /// A [`LanguageModelError`] that names what does not fit; [`LanguageModelError::TooLarge`] over [`MAX_WEIGHT_BYTES`].
    pub fn load(config_json: &[u8], weights: &[u8]) -> Result<Self, LanguageModelError> {
        if weights.len() > MAX_WEIGHT_BYTES {
            return Err(LanguageModelError::TooLarge { bytes: weights.len() });
        }
        let config = LanguageModelConfig::from_json(config_json)?;
        let mut tensors = Tensors::read(weights)?;
        let (embeddings, head) = embeddings_and_head(&config, &mut tensors)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::load(&config, &mut tensors, index))
            .collect::<Result<_, _>>()?;
        let final_norm = tensors.take("model.norm.weight", &[config.hidden_size])?;
        tensors.finish()?;
        let frequencies = config.rotary_frequencies();
        Ok(Self { config, embeddings, layers, final_norm, head, frequencies })
    }

    /// Shape and constants.
    pub fn config(&self) -> &LanguageModelConfig {
        &self.config
    }

    /// Tokens that the model knows; their ids are smaller.
    pub fn vocab_size(&self) -> usize {
        self.config.vocab_size
    }

    /// Values of one token in a [`KeyValueCache`]: keys and values of every layer.
    fn cell_size(&self) -> usize {
        self.layers.len() * 2 * self.config.key_value_width()
    }

    fn head(&self) -> &[f32] {
        self.head.as_deref().unwrap_or(&self.embeddings)
    }
}

/// Embeddings, and the head where it is a matrix of its own. Where they are tied, either name may be the one stored.
fn embeddings_and_head(
    config: &LanguageModelConfig,
    tensors: &mut Tensors<'_>,
) -> Result<(Vec<f32>, Option<Vec<f32>>), LanguageModelError> {
    let shape = [config.vocab_size, config.hidden_size];
    if !config.tie_word_embeddings {
        return Ok((tensors.take(EMBEDDINGS, &shape)?, Some(tensors.take(HEAD, &shape)?)));
    }
    if tensors.has(EMBEDDINGS) && tensors.has(HEAD) {
        let (embeddings, head) = (tensors.take(EMBEDDINGS, &shape)?, tensors.take(HEAD, &shape)?);
        return if embeddings == head { Ok((embeddings, None)) } else { Err(LanguageModelError::TiedDiffer) };
    }
    let stored = if tensors.has(HEAD) { HEAD } else { EMBEDDINGS };
    Ok((tensors.take(stored, &shape)?, None))
}

impl Layer {
    fn load(
        config: &LanguageModelConfig,
        tensors: &mut Tensors<'_>,
        index: usize,
    ) -> Result<Self, LanguageModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (queries, keys) = (config.query_width(), config.key_value_width());
        let mut take =
            |part: &str, shape: &[usize]| tensors.take(&format!("model.layers.{index}.{part}.weight"), shape);
        Ok(Self {
            input_norm: take("input_layernorm", &[hidden])?,
            query: take("self_attn.q_proj", &[queries, hidden])?,
            key: take("self_attn.k_proj", &[keys, hidden])?,
            value: take("self_attn.v_proj", &[keys, hidden])?,
            output: take("self_attn.o_proj", &[hidden, queries])?,
            post_attention_norm: take("post_attention_layernorm", &[hidden])?,
            gate: take("mlp.gate_proj", &[inner, hidden])?,
            up: take("mlp.up_proj", &[inner, hidden])?,
            down: take("mlp.down_proj", &[hidden, inner])?,
        })
    }
}

#[cfg(test)]
#[path = "language_model_tests.rs"]
mod tests;
