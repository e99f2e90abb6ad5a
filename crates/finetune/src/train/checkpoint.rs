//! A run's state as one safetensors file.
//!
//! Tensors `parameters` and what the optimiser remembers (`first_moment` and `second_moment`, or `momentum_buffer`, or
//! nothing), flat in layout order; one metadata entry holds the step and
//! the run's identity as JSON (one entry, because the order of several is not fixed, and equal states shall have equal
//! bytes). Random streams derive from the seed and the step's number, so the step is all the random state there is.

use dp::{Purpose, SecretSeed};
use rand::Rng;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::container::{self, Tensor};
use super::optimizer::State;
use super::{Optimizer, TrainError, TrainingConfig};
use crate::adapter::Adapter;
use crate::model::weights::{encode, finite_f32};
use crate::records::Records;

/// Raised when older checkpoints can no longer be read.
const VERSION: u32 = 1;
const METADATA_KEY: &str = "checkpoint";
/// No step reaches this number, so the stream is read for nothing else.
const SEED_CHECK_STEP: u64 = u64::MAX;

/// What a checkpoint must have in common with the run that continues it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    model_sha256: String,
    data_sha256: String,
    /// The adapter whose values the run began with; none if they were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_sha256: Option<String>,
    /// The settings as JSON text, without `threads`.
    config: String,
    /// Tells whether the seed is the same, and nothing else about it: a hash of one of its streams.
    seed_check: String,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    step: u64,
    #[serde(flatten)]
    identity: Identity,
}

impl Identity {
    pub(crate) fn new(
        model_sha256: String,
        records: &Records,
        config: &TrainingConfig,
        seed: &SecretSeed,
    ) -> Self {
        Self {
            model_sha256,
            data_sha256: records.sha256().to_owned(),
            start_sha256: None,
            config: config_json(config),
            seed_check: seed_check(seed),
        }
    }

    /// The same run, begun with the values of `adapter`.
    #[must_use]
    pub(crate) fn starting_from(self, adapter: Option<&Adapter>) -> Self {
        Self { start_sha256: adapter.map(adapter_sha256), ..self }
    }

    /// What the two runs do not have in common, if anything.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("model", self.model_sha256 == other.model_sha256),
            ("data file", self.data_sha256 == other.data_sha256),
            ("adapter to start from", self.start_sha256 == other.start_sha256),
            ("configuration", self.config == other.config),
            ("secret seed", self.seed_check == other.seed_check),
        ];
        parts.into_iter().find(|(_, equal)| !equal).map(|(name, _)| name)
    }
}

fn config_json(config: &TrainingConfig) -> String {
    let config = TrainingConfig { threads: 1, ..config.clone() };
    // Serialising plain structs with string keys into memory has no way to fail.
    serde_json::to_string(&config).expect("the configuration is plain data")
}

/// SHA-256 in hex over an adapter's rank, scaling and values. Where they lie is checked against the run's own layout.
fn adapter_sha256(adapter: &Adapter) -> String {
    let mut hash = Sha256::new();
    hash.update((adapter.config().rank as u64).to_le_bytes());
    hash.update(adapter.config().scaling().to_le_bytes());
    adapter.parameters().iter().for_each(|value| hash.update(value.to_le_bytes()));
    crate::hex(&hash.finalize())
}

fn seed_check(seed: &SecretSeed) -> String {
    let mut bytes = [0; 32];
    seed.stream(Purpose::AdapterInit, SEED_CHECK_STEP).fill_bytes(&mut bytes);
    crate::hex(&Sha256::digest(bytes))
}

/// The checkpoint's bytes; equal states give equal bytes.
pub(crate) fn write(state: &State, identity: &Identity) -> Vec<u8> {
    let metadata = Metadata { version: VERSION, step: state.steps, identity: identity.clone() };
    let vectors = [("parameters", state.parameters.as_slice())].into_iter().chain(state.memory.parts());
    let tensors =
        vectors.map(|(name, values)| Tensor { name, dtype: Dtype::F32, bytes: encode(values, Dtype::F32) });
    container::write(&tensors.collect::<Vec<_>>(), METADATA_KEY, &metadata)
}

/// Reads a checkpoint of the run `identity` with `length` trained values.
pub(crate) fn read(
    bytes: &[u8],
    identity: &Identity,
    optimizer: Optimizer,
    length: usize,
) -> Result<State, TrainError> {
    let corrupt = |reason: String| TrainError::CorruptCheckpoint(reason);
    let metadata: Metadata = container::metadata(bytes, METADATA_KEY).map_err(corrupt)?;
    if metadata.version != VERSION {
        return Err(TrainError::CheckpointMismatch("version of this program"));
    }
    if let Some(difference) = metadata.identity.difference(identity) {
        return Err(TrainError::CheckpointMismatch(difference));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| corrupt(e.to_string()))?;
    State::read(optimizer, metadata.step, |name| {
        let view = tensors.tensor(name).map_err(|e| corrupt(e.to_string()))?;
        if view.shape() != [length] {
            return Err(corrupt(format!("{name} has shape {:?} instead of [{length}]", view.shape())));
        }
        finite_f32(name, &view).map_err(|e| corrupt(e.to_string()))
    })
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
