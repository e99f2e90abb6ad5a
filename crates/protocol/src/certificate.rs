//! The privacy certificate: what a finished job guarantees, to whom, and what it was made from.
//!
//! Two guarantees are stated and never added up, for they hold against different readers. The local one protects each token of the text against
//! everybody, this service included, because it was given on the owner's machine. That of training protects each record against whoever sees the
//! adapter. A certificate without a local part says that the service saw the text itself.

use crate::hyperparameters::DpLora;
use crate::id::{JobId, ModelId};
use dp::{Accountant, NeighboringRelation, PrivacyUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the certificate's form.
pub const CERTIFICATE_VERSION: u32 = 1;

/// `privacy.json` in the adapter's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`CERTIFICATE_VERSION`].
    pub version: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// The job that trained the adapter.
    pub job: JobId,
    /// The base model's name in the service.
    pub base_model: ModelId,
    /// The guarantee of training, against whoever sees the adapter.
    pub training: TrainingGuarantee,
    /// The guarantee of the text, against everybody; none when the text was not perturbed.
    pub local: Option<LocalGuarantee>,
    /// Every setting that the owner chose or was given by default.
    pub hyperparameters: DpLora,
    /// What went in and what came out.
    pub hashes: Hashes,
    /// Version of the service's code.
    pub code_version: String,
}

/// (ε, δ)-differential privacy of the adapter: DP-SGD (Abadi et al. 2016, Algorithm 1) with Poisson batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingGuarantee {
    /// Always `dp-sgd`.
    pub mechanism: String,
    /// What one record is.
    pub privacy_unit: PrivacyUnit,
    /// What neighbouring data sets differ in.
    pub neighboring_relation: NeighboringRelation,
    /// ε of the whole run, an upper bound.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// Standard deviation of the noise on the gradient sum, over `max_grad_norm`.
    pub noise_multiplier: f64,
    /// Chance of each record to be in a step's batch.
    pub sampling_rate: f64,
    /// Noisy steps.
    pub steps: u64,
    /// L2 norm that each record's gradient was clipped to.
    pub max_grad_norm: f64,
    /// Records in the file.
    pub records: u64,
    /// The method behind ε.
    pub accountant: Accountant,
    /// Version of its code.
    pub accountant_version: String,
}

/// Pure ε-local differential privacy of each token, from the manifest that came with the perturbed file. It is the owner's own statement: the
/// service checks that it is consistent, and cannot check that the tokens really passed the channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalGuarantee {
    /// Always `pure-epsilon-ldp`.
    pub notion: String,
    /// The channel with its parameters, as the manifest has it.
    pub mechanism: serde_json::Value,
    /// ε of one token.
    pub epsilon_per_token: f64,
    /// ε of the longest record: the ε of its tokens add up.
    pub epsilon_of_longest_record: f64,
    /// Tokens of the longest record.
    pub max_tokens_in_a_record: u64,
    /// Tokens of all records.
    pub tokens: u64,
    /// Items that the channel works on.
    pub domain_size: u32,
    /// SHA-256 of the items' ids.
    pub domain_sha256: String,
    /// SHA-256 of the neighbour table, if the mechanism uses one.
    pub neighbour_table_sha256: Option<String>,
}

/// SHA-256 digests in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// The uploaded file.
    pub training_file: String,
    /// The base model's files that were used, by name.
    pub base_model: BTreeMap<String, String>,
    /// The adapter folder's other files, by name.
    pub adapter: BTreeMap<String, String>,
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
