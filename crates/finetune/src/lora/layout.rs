//! Where each value of an adapter lies in the flat vector, and what its matrix is called.

use rand::Rng;

use super::{LoraConfig, LoraError};
use crate::model::{ModelConfig, names_module};

/// Where one adapted module's matrices lie in the flat vector: `A [rank, input]`, then `B [output, rank]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraEntry {
    /// Index of the transformer block.
    pub layer: usize,
    /// Index of the adapted linear map in [`ModelConfig::modules`].
    pub module: usize,
    /// Its input width.
    pub input: usize,
    /// Its output width.
    pub output: usize,
    /// Start of `A`, row-major.
    pub a_offset: usize,
    /// Start of `B`, row-major.
    pub b_offset: usize,
}

/// The order of all trained values: block by block, module by module in the model's order, A before B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoraLayout {
    rank: usize,
    names: ModuleNames,
    entries: Vec<LoraEntry>,
    length: usize,
}

/// What the linear maps are called that a layout's entries point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleNames {
    /// Block i is `{block}.{i}`.
    pub(crate) block: String,
    /// Path inside of a block of each module.
    pub(crate) paths: Vec<String>,
    /// Whether their weights are stored `[input, output]`.
    pub(crate) transposed: bool,
}

impl ModuleNames {
    fn of(model: &ModelConfig) -> Self {
        Self {
            block: model.names.block.to_owned(),
            paths: model.modules.iter().map(|module| module.path.to_owned()).collect(),
            transposed: model.modules.iter().any(|module| module.transposed),
        }
    }
}

impl LoraLayout {
    /// The layout of an adapter on every block of a model.
    ///
    /// # Errors
    /// [`LoraError`] if the model lacks a target module.
    pub fn new(model: &ModelConfig, lora: &LoraConfig) -> Result<Self, LoraError> {
        let modules = lora.resolve(model)?;
        let places = (0..model.num_hidden_layers).flat_map(|layer| {
            modules.iter().map(move |&index| {
                let module = &model.modules[index];
                (layer, index, (module.input, module.output))
            })
        });
        Ok(Self::from_places(lora.rank, ModuleNames::of(model), places))
    }

    /// A layout from `(layer, module, (input, output))` in order.
    pub(crate) fn from_places(
        rank: usize,
        names: ModuleNames,
        places: impl IntoIterator<Item = (usize, usize, (usize, usize))>,
    ) -> Self {
        let mut length = 0;
        let mut entries = Vec::new();
        for (layer, module, (input, output)) in places {
            let a_offset = length;
            let b_offset = a_offset + rank * input;
            length = b_offset + output * rank;
            entries.push(LoraEntry { layer, module, input, output, a_offset, b_offset });
        }
        Self { rank, names, entries, length }
    }

    /// The layout of no adapter at all.
    pub(crate) fn empty() -> Self {
        let names = ModuleNames { block: String::new(), paths: Vec::new(), transposed: false };
        Self::from_places(1, names, [])
    }

    /// A layout of `dimension ≥ 2` values that belongs to no model.
    #[cfg(feature = "audit")]
    pub(crate) fn without_model(dimension: usize) -> Self {
        let names = ModuleNames { block: String::new(), paths: vec!["values".to_owned()], transposed: false };
        // One pair of rank 1 has input + output values: the smallest layout of a given length.
        Self::from_places(1, names, [(0, 0, (dimension - 1, 1))])
    }

    /// The same values under the module indices of `model`, or the first entry that the model has no place for with
    /// the widths of the model's own, if it has that module.
    pub(crate) fn on(&self, model: &ModelConfig) -> Result<Self, (LoraEntry, Option<(usize, usize)>)> {
        let names = ModuleNames::of(model);
        let place = |entry: &LoraEntry| {
            let path = &self.names.paths[entry.module];
            let known = names.paths.iter().position(|known| known == path);
            let there = self.names.block == names.block && entry.layer < model.num_hidden_layers;
            let Some(module) = known.filter(|_| there) else { return Err((*entry, None)) };
            let widths = (model.modules[module].input, model.modules[module].output);
            match widths == (entry.input, entry.output) {
                true => Ok(LoraEntry { module, ..*entry }),
                false => Err((*entry, Some(widths))),
            }
        };
        let entries = self.entries.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { names, entries, ..*self })
    }

    /// Path in the model of an entry's linear map: `model.layers.3.self_attn.q_proj`.
    pub fn path(&self, entry: &LoraEntry) -> String {
        format!("{}.{}.{}", self.names.block, entry.layer, self.names.paths[entry.module])
    }

    pub(crate) fn names(&self) -> &ModuleNames {
        &self.names
    }

    /// Names for `target_modules` that stand for exactly the modules of the entries, in the model's order.
    pub fn target_modules(&self) -> Vec<String> {
        let has = |index: usize| self.entries.iter().any(|entry| entry.module == index);
        let paths = &self.names.paths;
        let mut names: Vec<String> = Vec::new();
        for path in (0..paths.len()).filter(|&index| has(index)).map(|index| &paths[index]) {
            let last = path.rsplit('.').next().unwrap_or(path);
            // The last part alone would also stand for a module that has no adapter.
            let shared = (0..paths.len()).any(|other| names_module(last, &paths[other]) && !has(other));
            let name = if shared { path } else { last };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
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
