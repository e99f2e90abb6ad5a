//! The run's state on disk: weights, optimizer moments and counters in one file, replaced atomically.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::optimizer::AdamW;

/// File name inside the run's folder.
pub(crate) const FILE: &str = "checkpoint.safetensors";
/// Key of the counters in the file's metadata.
const PROGRESS: &str = "progress";

/// Counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Tokens trained on.
    pub(crate) tokens: u64,
    /// Tokens in one epoch of the corpus.
    pub(crate) epoch_tokens: u64,
    /// Wall-clock seconds spent training, over all resumed parts.
    pub(crate) seconds: f64,
    /// Held-out loss, nats per token, when last measured.
    pub(crate) held_out_loss: f64,
    /// The same in bits per byte of text.
    pub(crate) bits_per_byte: f64,
}

/// Everything needed to continue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// Flat weights.
    pub(crate) weights: Vec<f32>,
    /// Moments and step count.
    pub(crate) optimizer: AdamW,
    /// Counters.
    pub(crate) progress: Progress,
}

impl Checkpoint {
    /// Writes the run's checkpoint: to a new file first, then renamed over the old one.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let steps = self.optimizer.steps.to_le_bytes();
        let parts = [
            ("weights", &self.weights),
            ("first", &self.optimizer.first),
            ("second", &self.optimizer.second),
        ];
        let bytes: Vec<(&str, Vec<u8>)> =
            parts.iter().map(|(name, values)| (*name, to_bytes(values))).collect();
        let mut views = Vec::new();
        for (name, bytes) in &bytes {
            views.push((*name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?));
        }
        views.push(("steps", TensorView::new(Dtype::U64, vec![1], &steps)?));
        let metadata = HashMap::from([(PROGRESS.to_owned(), serde_json::to_string(&self.progress)?)]);
        let temporary = folder.join(format!("{FILE}.new"));
        fs::write(&temporary, serialize(views, Some(metadata))?)?;
        fs::rename(&temporary, folder.join(FILE))?;
        Ok(())
    }

    /// Reads the run's checkpoint, which must hold `parameters` weights.
    pub(crate) fn load(folder: &Path, parameters: usize) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)?;
        let progress =
            metadata.metadata().as_ref().and_then(|m| m.get(PROGRESS)).context("no progress recorded")?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let read = |name: &str| -> Result<Vec<f32>> {
            let values = from_bytes(tensors.tensor(name)?.data());
            ensure!(
                values.len() == parameters,
                "{name} holds {} values, expected {parameters}",
                values.len()
            );
            Ok(values)
        };
        let steps = tensors.tensor("steps")?.data().try_into().context("the step count is not one u64")?;
        Ok(Self {
            weights: read("weights")?,
            optimizer: AdamW {
                first: read("first")?,
                second: read("second")?,
                steps: u64::from_le_bytes(steps),
            },
            progress: serde_json::from_str(progress)?,
        })
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
