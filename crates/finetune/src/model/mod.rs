//! Llama-family causal language models: files, configuration, weights and the forward pass.
//!
//! ```text
//! ModelFiles::from_dir ─▶ BaseModel::load ─▶ hidden_states(tokens, LoRA?) ─▶ logits | loss
//! ```
//!
//! The base weights are plain tensors, never variables: no operation computes a gradient for them.

mod config;
mod error;
mod files;
mod forward;
pub(crate) mod weights;

use candle_core::Tensor;

pub use config::{Llama3RopeScaling, LlamaConfig};
pub use error::ModelError;
pub use files::{CONFIG_FILE, ModelFiles, TOKENIZER_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};
pub(crate) use forward::KeyValueCache;

use crate::lora::TargetModule;
use weights::Weights;

const EMBEDDINGS: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A frozen base model, shared between threads.
pub struct BaseModel {
    config: LlamaConfig,
    sha256: String,
    /// `[vocabulary, hidden]`
    embeddings: Tensor,
    layers: Vec<Layer>,
    final_norm: Tensor,
    /// `[vocabulary, hidden]`; the same storage as `embeddings` where they are tied.
    head: Tensor,
}

struct Layer {
    input_norm: Tensor,
    post_attention_norm: Tensor,
    /// One projection for each of [`TargetModule::ALL`], in that order.
    projections: Vec<Projection>,
}

struct Projection {
    /// `[out, in]`
    weight: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
}

impl BaseModel {
    /// Builds the model from its files; every tensor must be there, have its shape and be finite, and none may be
    /// left over.
    ///
    /// # Errors
    /// A [`ModelError`] that names the file or tensor.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let config = LlamaConfig::from_json(&files.config_json)?;
        let mut weights = Weights::read(&files.weights)?;
        let (embeddings, head) = embeddings_and_head(&config, &mut weights)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::load(&config, &mut weights, index))
            .collect::<Result<_, _>>()?;
        let final_norm = weights.take("model.norm.weight", &[config.hidden_size])?;
        weights.finish()?;
        Ok(Self { config, sha256: files.sha256(), embeddings, layers, final_norm, head })
    }

    /// Shape and constants of the model.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// SHA-256 in hex over configuration and weights files.
    pub fn sha256(&self) -> String {
        self.sha256.clone()
    }

    /// The embedding table, row-major `[vocabulary, dim]`, and its `dim`.
    pub fn input_embeddings(&self) -> (Vec<f32>, usize) {
        let values = crate::ops::read(&self.embeddings, <[f32]>::to_vec);
        // `take` built this tensor from a contiguous f32 vector on the CPU, which is all that `read` asks for.
        (values.expect("embeddings are contiguous f32 on the CPU"), self.config.hidden_size)
    }
}

/// Where embeddings and head are tied, either name may be the one that is stored.
fn embeddings_and_head(
    config: &LlamaConfig,
    weights: &mut Weights<'_>,
) -> Result<(Tensor, Tensor), ModelError> {
    let shape = [config.vocab_size, config.hidden_size];
    if !config.tie_word_embeddings {
        return Ok((weights.take(EMBEDDINGS, &shape)?, weights.take(HEAD, &shape)?));
    }
    let stored = if weights.has(EMBEDDINGS) || !weights.has(HEAD) { EMBEDDINGS } else { HEAD };
    let table = weights.take(stored, &shape)?;
    if stored == EMBEDDINGS && weights.has(HEAD) {
        let head = weights.take(HEAD, &shape)?;
        if !crate::ops::read(&table, |t| crate::ops::read(&head, |h| t == h))?? {
            return Err(ModelError::Config {
                file: CONFIG_FILE,
                reason: format!("tie_word_embeddings is true, but {EMBEDDINGS} and {HEAD} differ"),
            });
        }
    }
    Ok((table.clone(), table))
}

impl Layer {
    fn load(config: &LlamaConfig, weights: &mut Weights<'_>, index: usize) -> Result<Self, ModelError> {
        let hidden = [config.hidden_size];
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        Ok(Self {
            input_norm: weights.take(&name("input_layernorm"), &hidden)?,
            post_attention_norm: weights.take(&name("post_attention_layernorm"), &hidden)?,
            projections: TargetModule::ALL
                .iter()
                .map(|&module| Projection::load(config, weights, index, module))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Projection {
    fn load(
        config: &LlamaConfig,
        weights: &mut Weights<'_>,
        layer: usize,
        module: TargetModule,
    ) -> Result<Self, ModelError> {
        let (input, output) = module.dimensions(config);
        let path = module.path(layer);
        let weight = weights.take(&format!("{path}.weight"), &[output, input])?;
        let bias = match config.attention_bias && module.is_attention() {
            true => Some(weights.take(&format!("{path}.bias"), &[output])?),
            false => None,
        };
        Ok(Self { weight, bias })
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
