//! Causal language models: files, configuration, weights and the forward pass.
//!
//! ```text
//! ModelFiles::from_dir ─▶ Checkpoint ─▶ BaseModel ─▶ hidden_states(tokens, LoRA?) ─▶ logits | loss
//! ```
//!
//! - `families`: from each family's `config.json` to the one [`ModelConfig`]
//! - `architecture`: what a [`ModelConfig`] describes
//! - `checkpoint`: the tensors, checked against it
//! - `forward`: the computation, plain and by the description alone: the reference of every other engine
//!
//! The base weights are plain tensors, never variables: no operation computes a gradient for them.

pub mod architecture;
pub(crate) mod checkpoint;
mod config;
mod error;
mod families;
mod files;
mod forward;
mod weight_bytes;
pub(crate) mod weights;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{Device, Tensor};

pub use architecture::ModelConfig;
pub use error::ModelError;
pub use families::is_target_module;
pub(crate) use families::{FAMILIES, Family, names_module};
pub use files::{CONFIG_FILE, ModelFiles, TOKENIZER_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};
pub(crate) use forward::KeyValueCache;
pub use weight_bytes::WeightBytes;

use crate::engine::{Format, PackedModel, Use};
use architecture::{NormKind, Stage};
use checkpoint::{BlockValues, Checkpoint, LinearValues, NormValues};

/// A frozen base model, shared between threads.
///
/// It holds its files, which are mapped where they lie in a folder, and makes of them what is asked for: values packed for the
/// engine, once for each format, or plain tensors. Clones of an [`Arc`] of it, in one run after another, share both.
pub struct BaseModel {
    config: ModelConfig,
    sha256: String,
    files: ModelFiles,
    plain: OnceLock<Plain>,
    packed: Mutex<Vec<Arc<PackedModel>>>,
}

/// The model as plain tensors.
struct Plain {
    /// `[vocabulary, hidden]`
    embeddings: Tensor,
    /// `[max_position_embeddings, hidden]`
    positions: Option<Tensor>,
    blocks: Vec<Block>,
    final_norm: Normalisation,
    /// `[vocabulary, hidden]`; the same storage as `embeddings` where they are tied.
    head: Tensor,
}

struct Block {
    input_norm: Normalisation,
    attention_post_norm: Option<Normalisation>,
    feed_forward_norm: Normalisation,
    feed_forward_post_norm: Option<Normalisation>,
    query_norm: Option<Normalisation>,
    key_norm: Option<Normalisation>,
    /// In the order of [`architecture::Stage`].
    stages: [Linear; 4],
}

struct Normalisation {
    gain: Tensor,
    bias: Option<Tensor>,
    epsilon: f64,
}

struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
}

impl BaseModel {
    /// Checks a model's files; every tensor must be there, have its shape and be finite, and none may be left over.
    ///
    /// # Errors
    /// A [`ModelError`] that names the file or tensor.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let checkpoint = Checkpoint::open(files)?;
        checkpoint.check_values()?;
        let config = checkpoint.config().clone();
        let (plain, packed) = (OnceLock::new(), Mutex::default());
        Ok(Self { config, sha256: files.sha256(), files: files.clone(), plain, packed })
    }

    /// Shape and constants of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// SHA-256 in hex over configuration and weights files.
    pub fn sha256(&self) -> String {
        self.sha256.clone()
    }

    /// The embedding table as it is stored, row-major `[vocabulary, dim]`, and its `dim`.
    ///
    /// # Errors
    /// [`ModelError`] if the files changed since they were checked.
    pub fn input_embeddings(&self) -> Result<(Vec<f32>, usize), ModelError> {
        Ok((Checkpoint::open(&self.files)?.embeddings()?, self.config.hidden_size))
    }

    /// The values packed for the engine, on `threads` threads the first time; what was packed for training also serves
    /// inference.
    pub(crate) fn packed(
        &self,
        format: Format,
        purpose: Use,
        threads: usize,
    ) -> Result<Arc<PackedModel>, ModelError> {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = packed.iter().find(|model| model.serves(format, purpose)) {
            return Ok(found.clone());
        }
        let new = Arc::new(PackedModel::load(&self.files, format, purpose, threads)?);
        packed.push(new.clone());
        Ok(new)
    }

    fn plain(&self) -> Result<&Plain, ModelError> {
        match self.plain.get() {
            Some(plain) => Ok(plain),
            None => {
                let plain = Plain::new(&Checkpoint::open(&self.files)?)?;
                Ok(self.plain.get_or_init(|| plain))
            }
        }
    }
}

impl Plain {
    fn new(checkpoint: &Checkpoint<'_>) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        let table = |values, rows| tensor2(values, rows, config.hidden_size);
        let embeddings = table(checkpoint.embeddings()?, config.vocab_size)?;
        let head = match checkpoint.head()? {
            Some(values) => table(values, config.vocab_size)?,
            None => embeddings.clone(),
        };
        let positions = checkpoint.positions()?;
        let positions = positions.map(|values| table(values, config.max_position_embeddings)).transpose()?;
        let blocks = (0..config.num_hidden_layers)
            .map(|index| Block::new(config, checkpoint.block(index)?))
            .collect::<Result<_, _>>()?;
        let final_norm = Normalisation::new(config, checkpoint.final_norm()?)?;
        Ok(Self { embeddings, positions, blocks, final_norm, head })
    }
}

impl Block {
    fn new(config: &ModelConfig, values: BlockValues) -> Result<Self, ModelError> {
        let norm = |values| Normalisation::new(config, values);
        let optional = |values: Option<NormValues>| values.map(norm).transpose();
        let [query_key_value, attention_output, up, down] = values.stages;
        let linear = |values, stage| Linear::new(values, config.stage_widths(stage));
        Ok(Self {
            input_norm: norm(values.input_norm)?,
            attention_post_norm: optional(values.attention_post_norm)?,
            feed_forward_norm: norm(values.feed_forward_norm)?,
            feed_forward_post_norm: optional(values.feed_forward_post_norm)?,
            query_norm: optional(values.query_norm)?,
            key_norm: optional(values.key_norm)?,
            stages: [
                linear(query_key_value, Stage::QueryKeyValue)?,
                linear(attention_output, Stage::AttentionOutput)?,
                linear(up, Stage::Up)?,
                linear(down, Stage::Down)?,
            ],
        })
    }
}

impl Normalisation {
    fn new(config: &ModelConfig, values: NormValues) -> Result<Self, ModelError> {
        debug_assert_eq!(values.bias.is_some(), config.norm.kind == NormKind::Layer);
        Ok(Self {
            gain: tensor1(values.gain)?,
            bias: values.bias.map(tensor1).transpose()?,
            epsilon: config.norm.epsilon,
        })
    }
}

impl Linear {
    fn new(values: LinearValues, (input, output): (usize, usize)) -> Result<Self, ModelError> {
        let bias = values.bias.map(tensor1).transpose()?;
        Ok(Self { weight: tensor2(values.weight, output, input)?, bias })
    }
}

fn tensor1(values: Vec<f32>) -> Result<Tensor, ModelError> {
    let length = values.len();
    Ok(Tensor::from_vec(values, length, &Device::Cpu)?)
}

fn tensor2(values: Vec<f32>, rows: usize, columns: usize) -> Result<Tensor, ModelError> {
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
