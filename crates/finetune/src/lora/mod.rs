//! Low-rank adaptation (Hu et al. 2021, section 4.1): `y = W·x + (alpha/rank)·B·A·x` with `W` frozen.
//!
//! All trained values live in one flat vector, which is what clipping, noise and the optimiser work on. [`LoraLayout`]
//! says where each matrix lies in it and what it is called; `LoraTensors` are the matrices as tensors for the forward
//! pass.

mod layout;

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::model::architecture::Module;
use crate::model::{ModelConfig, ModelError, names_module};
pub(crate) use layout::ModuleNames;
pub use layout::{LoraEntry, LoraLayout};

/// Stands in [`LoraConfig::target_modules`] for every linear map of a block.
pub const ALL_LINEAR: &str = "all-linear";

/// Rank, scaling and place of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Inner dimension of the update.
    pub rank: usize,
    /// The update is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The linear maps that get an adapter, in every layer, by PEFT's naming: the last part of a module's path
    /// (`q_proj`), more of it (`attn.c_proj`) or [`ALL_LINEAR`]. Empty for the attention's of the model's family.
    #[serde(default)]
    pub target_modules: Vec<String>,
    /// Whether the scale is `alpha / √rank` instead (Kalajdzievski 2023, eq. 3).
    // Left out where it is false: settings stored before it existed keep their hash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub use_rslora: bool,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, the attention's maps.
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, target_modules: Vec::new(), use_rslora: false }
    }
}

/// A LoRA configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoraError {
    /// Rank 0 has nothing to train; a rank above the narrowest width only wastes memory.
    #[error("rank is {rank}, but must be from 1 to {largest}")]
    Rank {
        /// The rank asked for.
        rank: usize,
        /// The largest useful one.
        largest: usize,
    },
    /// Alpha must be positive and finite.
    #[error("alpha is {0}, but must be a positive number")]
    Alpha(f64),
    /// A module is named twice.
    #[error("target_modules names {0} twice: name each module once")]
    NamedTwice(String),
    /// The model has no module of that name.
    #[error("target_modules names {name}, but a {family} model has: {known}, all-linear")]
    UnknownModule {
        /// The name.
        name: String,
        /// The model's family.
        family: &'static str,
        /// Names that it has.
        known: String,
    },
}

impl LoraConfig {
    /// `alpha / rank`, or `alpha / √rank` with `use_rslora`.
    pub fn scaling(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Checks the configuration against a model.
    ///
    /// # Errors
    /// [`LoraError`] says which value cannot be used.
    pub fn check(&self, model: &ModelConfig) -> Result<(), LoraError> {
        let largest = model.hidden_size;
        if self.rank == 0 || self.rank > largest {
            return Err(LoraError::Rank { rank: self.rank, largest });
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return Err(LoraError::Alpha(self.alpha));
        }
        self.resolve(model).map(|_| ())
    }

    /// The modules that get an adapter, as ascending indices into [`ModelConfig::modules`].
    ///
    /// # Errors
    /// [`LoraError::UnknownModule`] or [`LoraError::NamedTwice`].
    pub fn resolve(&self, model: &ModelConfig) -> Result<Vec<usize>, LoraError> {
        let mut chosen = vec![false; model.modules.len()];
        for name in &self.target_modules {
            let is_meant = |module: &Module| name == ALL_LINEAR || names_module(name, module.path);
            let mut meant = model.modules.iter().zip(&mut chosen).filter(|(m, _)| is_meant(m)).peekable();
            if meant.peek().is_none() {
                return Err(unknown_module(name, model));
            }
            for (_, chosen) in meant {
                if std::mem::replace(chosen, true) {
                    return Err(LoraError::NamedTwice(name.clone()));
                }
            }
        }
        if self.target_modules.is_empty() {
            chosen = model.modules.iter().map(|module| module.stage.is_attention()).collect();
        }
        Ok((0..chosen.len()).filter(|&index| chosen[index]).collect())
    }
}

fn unknown_module(name: &str, model: &ModelConfig) -> LoraError {
    let mut known: Vec<&str> = Vec::new();
    for module in &model.modules {
        let shared = model.modules.iter().filter(|other| other.name == module.name).count() > 1;
        known.push(if shared { module.path } else { module.name });
    }
    LoraError::UnknownModule { name: name.to_owned(), family: model.family, known: known.join(", ") }
}

/// The matrices of an adapter as tensors: variables for training, plain tensors otherwise.
pub(crate) struct LoraTensors {
    pairs: HashMap<(usize, usize), (Tensor, Tensor)>,
    scaling: f64,
}

impl LoraTensors {
    /// Variables, for which a backward pass finds gradients.
    pub(crate) fn variables(layout: &LoraLayout, scaling: f64, flat: &[f32]) -> Result<Self, ModelError> {
        Self::build(layout, scaling, flat, |tensor| Ok(Var::from_tensor(&tensor)?.into_inner()))
    }

    /// Constants, for evaluation and generation.
    pub(crate) fn constants(layout: &LoraLayout, scaling: f64, flat: &[f32]) -> Result<Self, ModelError> {
        Self::build(layout, scaling, flat, Ok)
    }

    fn build(
        layout: &LoraLayout,
        scaling: f64,
        flat: &[f32],
        wrap: impl Fn(Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<Self, ModelError> {
        let mut pairs = HashMap::new();
        for entry in layout.entries() {
            let a = Tensor::from_slice(layout.a(entry, flat), (layout.rank(), entry.input), &Device::Cpu)?;
            let b = Tensor::from_slice(layout.b(entry, flat), (entry.output, layout.rank()), &Device::Cpu)?;
            pairs.insert((entry.layer, entry.module), (wrap(a)?, wrap(b)?));
        }
        Ok(Self { pairs, scaling })
    }

    pub(crate) fn pair(&self, layer: usize, module: usize) -> Option<(&Tensor, &Tensor)> {
        self.pairs.get(&(layer, module)).map(|(a, b)| (a, b))
    }

    pub(crate) fn scaling(&self) -> f64 {
        self.scaling
    }
}

#[cfg(test)]
#[path = "lora_tests.rs"]
mod tests;
