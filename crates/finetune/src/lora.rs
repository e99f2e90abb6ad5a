//! Low-rank adaptation (Hu et al. 2021, section 4.1): `y = W·x + (alpha/rank)·B·A·x` with `W` frozen.
//!
//! All trained values live in one flat vector, which is what clipping, noise and the optimiser work on. [`LoraLayout`]
//! says where each matrix lies in it; `LoraTensors` are the matrices as tensors for the forward pass.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::model::{LlamaConfig, ModelError};

/// A linear map of a transformer block that an adapter may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetModule {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// Output of the attention.
    OProj,
    /// Gate of the feed-forward block.
    GateProj,
    /// Up-projection of the feed-forward block.
    UpProj,
    /// Down-projection of the feed-forward block.
    DownProj,
}

impl TargetModule {
    /// Every module, in the order of a block.
    pub const ALL: [Self; 7] =
        [Self::QProj, Self::KProj, Self::VProj, Self::OProj, Self::GateProj, Self::UpProj, Self::DownProj];

    /// The name in Hugging Face checkpoints and PEFT configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// The module of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|module| module.name() == name)
    }

    pub(crate) fn is_attention(self) -> bool {
        matches!(self, Self::QProj | Self::KProj | Self::VProj | Self::OProj)
    }

    /// `model.layers.3.self_attn.q_proj`
    pub(crate) fn path(self, layer: usize) -> String {
        let block = if self.is_attention() { "self_attn" } else { "mlp" };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }

    /// Input and output width.
    pub(crate) fn dimensions(self, config: &LlamaConfig) -> (usize, usize) {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        match self {
            Self::QProj => (hidden, config.query_width()),
            Self::KProj | Self::VProj => (hidden, config.key_value_width()),
            Self::OProj => (config.query_width(), hidden),
            Self::GateProj | Self::UpProj => (hidden, inner),
            Self::DownProj => (inner, hidden),
        }
    }
}

/// Rank, scaling and place of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Inner dimension of the update.
    pub rank: usize,
    /// The update is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The linear maps that get an adapter, in every layer.
    pub target_modules: Vec<TargetModule>,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, the four attention projections.
    fn default() -> Self {
        use TargetModule::{KProj, OProj, QProj, VProj};
        Self { rank: 8, alpha: 16.0, target_modules: vec![QProj, KProj, VProj, OProj] }
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
    /// No module, or one twice.
    #[error("target_modules must name at least one module, and none twice")]
    TargetModules,
}

impl LoraConfig {
    /// `alpha / rank`
    pub fn scaling(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Checks the configuration against a model.
    ///
    /// # Errors
    /// [`LoraError`] says which value cannot be used.
    pub fn check(&self, model: &LlamaConfig) -> Result<(), LoraError> {
        let largest = model.hidden_size;
        if self.rank == 0 || self.rank > largest {
            return Err(LoraError::Rank { rank: self.rank, largest });
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return Err(LoraError::Alpha(self.alpha));
        }
        let mut modules = self.target_modules.clone();
        modules.sort_unstable();
        modules.dedup();
        if modules.is_empty() || modules.len() != self.target_modules.len() {
            return Err(LoraError::TargetModules);
        }
        Ok(())
    }
}

/// Where one adapted module's matrices lie in the flat vector: `A [rank, input]`, then `B [output, rank]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraEntry {
    /// Index of the transformer block.
    pub layer: usize,
    /// The adapted linear map.
    pub module: TargetModule,
    /// Its input width.
    pub input: usize,
    /// Its output width.
    pub output: usize,
    /// Start of `A`, row-major.
    pub a_offset: usize,
    /// Start of `B`, row-major.
    pub b_offset: usize,
}

/// The order of all trained values: block by block, module by module in [`TargetModule`]'s order, A before B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoraLayout {
    rank: usize,
    entries: Vec<LoraEntry>,
    length: usize,
}

impl LoraLayout {
    /// The layout of an adapter on every block of a model.
    pub fn new(model: &LlamaConfig, lora: &LoraConfig) -> Self {
        let mut modules = lora.target_modules.clone();
        modules.sort_unstable();
        let places = (0..model.num_hidden_layers)
            .flat_map(|layer| modules.iter().map(move |&module| (layer, module, module.dimensions(model))));
        Self::from_places(lora.rank, places)
    }

    /// A layout from `(layer, module, (input, output))` in order.
    pub(crate) fn from_places(
        rank: usize,
        places: impl IntoIterator<Item = (usize, TargetModule, (usize, usize))>,
    ) -> Self {
        let mut length = 0;
        let mut entries = Vec::new();
        for (layer, module, (input, output)) in places {
            let a_offset = length;
            let b_offset = a_offset + rank * input;
            length = b_offset + output * rank;
            entries.push(LoraEntry { layer, module, input, output, a_offset, b_offset });
        }
        Self { rank, entries, length }
    }

    /// Inner dimension of every pair.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Every adapted module in order.
    pub fn entries(&self) -> &[LoraEntry] {
        &self.entries
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        self.length
    }

    /// The slice of `A [rank, input]` in the flat vector.
    pub(crate) fn a<'a>(&self, entry: &LoraEntry, flat: &'a [f32]) -> &'a [f32] {
        &flat[entry.a_offset..][..self.rank * entry.input]
    }

    /// The slice of `B [output, rank]` in the flat vector.
    pub(crate) fn b<'a>(&self, entry: &LoraEntry, flat: &'a [f32]) -> &'a [f32] {
        &flat[entry.b_offset..][..entry.output * self.rank]
    }

    /// Start values: `A` uniform in `±1/√input` (Kaiming with a = √5, as PEFT does), `B` zero, so that the adapted
    /// model starts as the base.
    pub(crate) fn initialise(&self, rng: &mut impl Rng) -> Vec<f32> {
        let mut flat = vec![0.0; self.length];
        for entry in &self.entries {
            let bound = 1.0 / (entry.input as f32).sqrt();
            for value in &mut flat[entry.a_offset..entry.b_offset] {
                *value = bound * (2.0 * unit_interval(rng) - 1.0);
            }
        }
        flat
    }
}

/// Uniform in `[0, 1)` with the 24 bits that an f32 holds.
fn unit_interval(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// The matrices of an adapter as tensors: variables for training, plain tensors otherwise.
pub(crate) struct LoraTensors {
    pairs: HashMap<(usize, TargetModule), (Tensor, Tensor)>,
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
        for entry in &layout.entries {
            let a = Tensor::from_slice(layout.a(entry, flat), (layout.rank, entry.input), &Device::Cpu)?;
            let b = Tensor::from_slice(layout.b(entry, flat), (entry.output, layout.rank), &Device::Cpu)?;
            pairs.insert((entry.layer, entry.module), (wrap(a)?, wrap(b)?));
        }
        Ok(Self { pairs, scaling })
    }

    pub(crate) fn pair(&self, layer: usize, module: TargetModule) -> Option<(&Tensor, &Tensor)> {
        self.pairs.get(&(layer, module)).map(|(a, b)| (a, b))
    }

    pub(crate) fn scaling(&self) -> f64 {
        self.scaling
    }
}

#[cfg(test)]
#[path = "lora_tests.rs"]
mod tests;
