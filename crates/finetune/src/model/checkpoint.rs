//! A model folder whose tensors were checked against its configuration: the frozen values that engines are built from.
//!
//! Values are converted to f32 block by block, when they are asked for, so that the whole model never lies in memory
//! as f32 beside the form that an engine makes of it.

use std::collections::BTreeMap;

use safetensors::tensor::TensorView;

use super::architecture::{ModelConfig, NormKind, Stage, TensorNames};
use super::weights::{check_dtype, check_finite, finite_f32, tensors, transpose};
use super::{CONFIG_FILE, ModelError, ModelFiles};

/// A validated model folder.
pub(crate) struct Checkpoint<'a> {
    config: ModelConfig,
    tensors: BTreeMap<String, TensorView<'a>>,
}

/// The values of a normalisation.
pub(crate) struct NormValues {
    /// What is multiplied with; 1 + the stored gain for [`NormKind::RmsPlusOne`].
    pub(crate) gain: Vec<f32>,
    /// What is added, for [`NormKind::Layer`].
    pub(crate) bias: Option<Vec<f32>>,
}

/// The values of a stage.
pub(crate) struct LinearValues {
    /// `[output, input]`, row-major.
    pub(crate) weight: Vec<f32>,
    /// `[output]`; zeros for modules without one beside others that have one.
    pub(crate) bias: Option<Vec<f32>>,
}

/// The values of a block.
pub(crate) struct BlockValues {
    pub(crate) input_norm: NormValues,
    pub(crate) attention_post_norm: Option<NormValues>,
    pub(crate) feed_forward_norm: NormValues,
    pub(crate) feed_forward_post_norm: Option<NormValues>,
    /// `[head_dim]`
    pub(crate) query_norm: Option<NormValues>,
    /// `[head_dim]`
    pub(crate) key_norm: Option<NormValues>,
    /// In the order of [`Stage`], modules side by side at their offsets.
    pub(crate) stages: [LinearValues; 4],
}

impl<'a> Checkpoint<'a> {
    /// Reads the configuration and checks that every tensor is there with its shape and that none is left over.
    ///
    /// # Errors
    /// A [`ModelError`] that names the file or tensor. Values are checked when they are read.
    pub(crate) fn open(files: &'a ModelFiles) -> Result<Self, ModelError> {
        let config = ModelConfig::from_json(&files.config_json)?;
        let mut stored = tensors(&files.weights, &config.names)?;
        if config.tie_word_embeddings {
            untie(&config.names, &mut stored)?;
        }
        let mut known = BTreeMap::new();
        for (name, shape) in expected(&config) {
            let view =
                stored.remove(&name).ok_or_else(|| ModelError::MissingTensor { name: name.clone() })?;
            if view.shape() != shape {
                return Err(ModelError::WrongShape { name, expected: shape, found: view.shape().to_vec() });
            }
            check_dtype(&name, view.dtype())?;
            known.insert(name, view);
        }
        match stored.into_keys().next() {
            Some(name) => Err(ModelError::UnknownTensor { name, supported: tensor_names(&config) }),
            None => Ok(Self { config, tensors: known }),
        }
    }

    /// Whether every value is finite.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] names the tensor.
    pub(crate) fn check_values(&self) -> Result<(), ModelError> {
        self.tensors.iter().try_for_each(|(name, view)| check_finite(name, view))
    }

    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// `[vocabulary, hidden]`, not yet scaled.
    pub(crate) fn embeddings(&self) -> Result<Vec<f32>, ModelError> {
        self.values(&weight(self.config.names.embeddings))
    }

    /// `[max_position_embeddings, hidden]` of learned positions.
    pub(crate) fn positions(&self) -> Result<Option<Vec<f32>>, ModelError> {
        self.config.names.positions.map(|name| self.values(&weight(name))).transpose()
    }

    /// `[vocabulary, hidden]`; `None` where the head is the embedding table.
    pub(crate) fn head(&self) -> Result<Option<Vec<f32>>, ModelError> {
        let untied = !self.config.tie_word_embeddings;
        untied.then(|| self.values(&weight(self.config.names.head))).transpose()
    }

    pub(crate) fn final_norm(&self) -> Result<NormValues, ModelError> {
        self.norm(self.config.names.final_norm)
    }

    /// The values of block `index`.
    pub(crate) fn block(&self, index: usize) -> Result<BlockValues, ModelError> {
        let names = &self.config.names;
        let norm = |part: &str| self.norm(&self.config.block_path(index, part));
        let optional = |part: Option<&str>| part.map(norm).transpose();
        let stage = |stage| self.stage(index, stage);
        Ok(BlockValues {
            input_norm: norm(names.input_norm)?,
            attention_post_norm: optional(names.attention_post_norm)?,
            feed_forward_norm: norm(names.feed_forward_norm)?,
            feed_forward_post_norm: optional(names.feed_forward_post_norm)?,
            query_norm: optional(names.query_norm)?,
            key_norm: optional(names.key_norm)?,
            stages: [
                stage(Stage::QueryKeyValue)?,
                stage(Stage::AttentionOutput)?,
                stage(Stage::Up)?,
                stage(Stage::Down)?,
            ],
        })
    }

    fn norm(&self, path: &str) -> Result<NormValues, ModelError> {
        let mut gain = self.values(&weight(path))?;
        if self.config.norm.kind == NormKind::RmsPlusOne {
            gain.iter_mut().for_each(|value| *value += 1.0);
        }
        let has_bias = self.config.norm.kind == NormKind::Layer;
        Ok(NormValues { gain, bias: has_bias.then(|| self.values(&bias(path))).transpose()? })
    }

    fn stage(&self, layer: usize, stage: Stage) -> Result<LinearValues, ModelError> {
        let (input, output) = self.config.stage_widths(stage);
        let mut whole = LinearValues { weight: Vec::with_capacity(input * output), bias: None };
        for (_, module) in self.config.stage_modules(stage) {
            let path = self.config.block_path(layer, module.path);
            let values = self.values(&weight(&path))?;
            whole.weight.extend(match module.transposed {
                true => transpose(&values, module.input, module.output),
                false => values,
            });
            if module.bias {
                let all = whole.bias.get_or_insert_with(|| vec![0.0; output]);
                all[module.offset..][..module.output].copy_from_slice(&self.values(&bias(&path))?);
            }
        }
        Ok(whole)
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let view = self.tensors.get(name).ok_or_else(|| ModelError::MissingTensor { name: name.into() })?;
        finite_f32(name, view)
    }
}

fn weight(path: &str) -> String {
    format!("{path}.weight")
}

fn bias(path: &str) -> String {
    format!("{path}.bias")
}

/// Leaves a tied table under the name of the embeddings, whichever of the two names it is stored by.
fn untie(names: &TensorNames, stored: &mut BTreeMap<String, TensorView<'_>>) -> Result<(), ModelError> {
    let (embeddings, head) = (weight(names.embeddings), weight(names.head));
    let Some(table) = stored.remove(&head) else { return Ok(()) };
    if let Some(other) = stored.get(&embeddings) {
        let same_bits = other.dtype() == table.dtype() && other.data() == table.data();
        if !same_bits && finite_f32(&embeddings, other)? != finite_f32(&head, &table)? {
            let reason = format!("tie_word_embeddings is true, but {embeddings} and {head} differ");
            return Err(ModelError::Config { file: CONFIG_FILE, reason });
        }
        return Ok(());
    }
    stored.insert(embeddings, table);
    Ok(())
}

/// Name and shape of every tensor that a model of this configuration has.
pub(crate) fn expected(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let names = &config.names;
    let table = vec![config.vocab_size, config.hidden_size];
    let mut all = vec![(weight(names.embeddings), table.clone())];
    if !config.tie_word_embeddings {
        all.push((weight(names.head), table));
    }
    if let Some(positions) = names.positions {
        all.push((weight(positions), vec![config.max_position_embeddings, config.hidden_size]));
    }
    for layer in 0..config.num_hidden_layers {
        expect_block(config, layer, &mut all);
    }
    expect_norm(config, names.final_norm, config.hidden_size, &mut all);
    all
}

fn expect_block(config: &ModelConfig, layer: usize, all: &mut Vec<(String, Vec<usize>)>) {
    let names = &config.names;
    let norms = [Some(names.input_norm), names.attention_post_norm]
        .into_iter()
        .chain([Some(names.feed_forward_norm), names.feed_forward_post_norm])
        .map(|part| (part, config.hidden_size));
    let head_norms = [names.query_norm, names.key_norm].map(|part| (part, config.head_dim));
    for (part, width) in norms.chain(head_norms) {
        if let Some(part) = part {
            expect_norm(config, &config.block_path(layer, part), width, all);
        }
    }
    for module in &config.modules {
        let path = config.block_path(layer, module.path);
        let shape = match module.transposed {
            true => vec![module.input, module.output],
            false => vec![module.output, module.input],
        };
        all.push((weight(&path), shape));
        if module.bias {
            all.push((bias(&path), vec![module.output]));
        }
    }
}

fn expect_norm(config: &ModelConfig, path: &str, width: usize, all: &mut Vec<(String, Vec<usize>)>) {
    all.push((weight(path), vec![width]));
    if config.norm.kind == NormKind::Layer {
        all.push((bias(path), vec![width]));
    }
}

/// The names of a model's tensors, those of a block once, for an error.
fn tensor_names(config: &ModelConfig) -> String {
    let one = ModelConfig { num_hidden_layers: 1, ..config.clone() };
    let (first, any) = (config.block_path(0, ""), format!("{}.N.", config.names.block));
    let names: Vec<String> = expected(&one).into_iter().map(|(name, _)| name.replace(&first, &any)).collect();
    names.join(", ")
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
