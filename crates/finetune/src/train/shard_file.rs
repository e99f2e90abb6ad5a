//! What a shard releases, as one safetensors file.
//!
//! Tensors `gradient` and, where the plan pays for it, `loss`: whole numbers of the shard's lattice, noise
//! included, as I64. The metadata names the shard, its run, and the hash of the trained values that the
//! gradients were taken at. Nothing else is in it: not how many records there were.

use dp::{NoisyShard, ShardId};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::TrainError;
use super::checkpoint::Identity;
use super::container::{self, Tensor};

/// Raised when older shards can no longer be read.
const VERSION: u32 = 1;
const METADATA_KEY: &str = "shard";
const GRADIENT: &str = "gradient";
const LOSS: &str = "loss";

/// What all shards of a step have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// SHA-256 in hex of the trained values before the step.
    parameters_sha256: String,
    identity: Identity,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    shard: ShardId,
    origin: Origin,
}

impl Origin {
    pub(crate) fn new(parameters: &[f32], identity: &Identity) -> Self {
        let mut hash = Sha256::new();
        parameters.iter().for_each(|value| hash.update(value.to_le_bytes()));
        Self { parameters_sha256: crate::hex(&hash.finalize()), identity: identity.clone() }
    }
}

/// The file's bytes; equal shards give equal bytes.
pub(crate) fn write(shard: &NoisyShard, origin: &Origin) -> Vec<u8> {
    let metadata = Metadata { version: VERSION, shard: shard.id, origin: origin.clone() };
    let tensor = |name, values: &[i64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::I64, bytes }
    };
    let mut tensors = vec![tensor(GRADIENT, &shard.gradient)];
    tensors.extend(shard.loss.map(|loss| tensor(LOSS, &[loss])));
    container::write(&tensors, METADATA_KEY, &metadata)
}

/// Which shard a file holds, of a step `step` that starts from `origin`.
pub(crate) fn id(bytes: &[u8], step: u64, origin: &Origin) -> Result<ShardId, TrainError> {
    let metadata: Metadata = container::metadata(bytes, METADATA_KEY).map_err(TrainError::CorruptShard)?;
    if metadata.version != VERSION {
        return Err(TrainError::ShardMismatch("version of this program"));
    }
    if let Some(difference) = metadata.origin.identity.difference(&origin.identity) {
        return Err(TrainError::ShardMismatch(difference));
    }
    // Before another step the values differ rightly; then the plan names the step.
    if metadata.shard.step == step && metadata.origin != *origin {
        return Err(TrainError::ShardMismatch("state of the run before the step"));
    }
    Ok(metadata.shard)
}

/// Reads a shard of a step `step` that starts from `origin`. Whether it completes the step is for the plan to
/// say.
pub(crate) fn read(bytes: &[u8], step: u64, origin: &Origin) -> Result<NoisyShard, TrainError> {
    let corrupt = TrainError::CorruptShard;
    let id = id(bytes, step, origin)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| corrupt(e.to_string()))?;
    let gradient = values(&tensors, GRADIENT)?.ok_or_else(|| corrupt("it has no gradient".into()))?;
    let loss = match values(&tensors, LOSS)?.as_deref() {
        None => None,
        Some(&[loss]) => Some(loss),
        Some(values) => return Err(corrupt(format!("it has {} losses", values.len()))),
    };
    Ok(NoisyShard { id, gradient, loss })
}

/// The values of a tensor, if there is one of that name.
fn values(tensors: &SafeTensors<'_>, name: &str) -> Result<Option<Vec<i64>>, TrainError> {
    let corrupt = TrainError::CorruptShard;
    let view = match tensors.tensor(name) {
        Ok(view) => view,
        Err(SafeTensorError::TensorNotFound(_)) => return Ok(None),
        Err(error) => return Err(corrupt(error.to_string())),
    };
    if view.dtype() != Dtype::I64 || view.shape().len() != 1 {
        return Err(corrupt(format!("{name} is {:?} of shape {:?}", view.dtype(), view.shape())));
    }
    let (numbers, _) = view.data().as_chunks::<8>();
    Ok(Some(numbers.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()))
}

#[cfg(test)]
#[path = "shard_file_tests.rs"]
mod tests;
