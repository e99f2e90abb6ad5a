//! The privacy certificate: what a finished job guarantees, to whom, and what it was made from.
//!
//! Two guarantees are stated and never added up, for they hold against different readers. The local one protects each token of the text against
//! everybody, this service included, because it was given on the owner's machine. That of training protects each record against whoever sees the
//! adapter. A certificate without a local part says that the service saw the text itself.
//!
//! [`crate::signature`] signs one and checks it; [`crate::verify`] recomputes what it states.

use crate::hyperparameters::DpLora;
use crate::id::JobId;
use crate::signature::Signature;
use dp::{
    Accountant, Budget, Clipping, Delta, DpError, DpSgdPlan, NeighboringRelation, PlanParameters, PrivacyUnit,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the certificate's form.
pub const CERTIFICATE_VERSION: u32 = 2;

/// `privacy.json` in the adapter's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`CERTIFICATE_VERSION`].
    pub version: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// The job that trained the adapter; none when no service was asked.
    pub job: Option<JobId>,
    /// The base model's name.
    pub base_model: String,
    /// The guarantee of training, against whoever sees the adapter.
    pub training: TrainingGuarantee,
    /// The guarantee of the text, against everybody; none when the text was not perturbed.
    pub local: Option<LocalGuarantee>,
    /// What all jobs on this training file together may spend; none when nobody keeps that account.
    pub dataset_budget: Option<Budget>,
    /// Every setting that the owner chose or was given by default.
    pub hyperparameters: DpLora,
    /// What went in and what came out.
    pub hashes: Hashes,
    /// Version of the service's code.
    pub code_version: String,
    /// Who vouches for all of it; none when nobody does.
    pub signature: Option<Signature>,
}

/// (ε, δ)-differential privacy of the adapter: DP-SGD (Abadi et al. 2016, Algorithm 1) with Poisson batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingGuarantee {
    /// Always `dp-sgd`.
    pub mechanism: String,
    /// The noise's distribution: [`NOISE`].
    pub noise: String,
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
    /// Mean batch size: it, not the realised size, divided the noisy sums. Over `records` it is the sampling rate.
    pub expected_batch_size: u64,
    /// Noisy steps, empty batches included.
    pub steps: u64,
    /// L2 norm that each record's gradient was clipped to.
    pub max_grad_norm: f64,
    /// How it was: under every rule the norm is the sensitivity. Certificates from before there was a choice say nothing and mean `flat`.
    #[serde(default)]
    pub clipping: Clipping,
    /// Standard deviation of the noise on the released losses, over half of the largest loss; none when no loss was released.
    pub loss_noise_multiplier: Option<f64>,
    /// Records in the file.
    pub records: u64,
    /// The method behind ε.
    pub accountant: Accountant,
    /// Version of its code.
    pub accountant_version: String,
}

/// What [`TrainingGuarantee::noise`] says: the sampler is exact, so the accountant's Gaussian is the one that was drawn, rounded.
pub const NOISE: &str = "gaussian, rounded to a lattice of 2^-24 standard deviations";

impl TrainingGuarantee {
    /// What `plan` guarantees for gradients clipped by `clipping`, accounted by code of version `accountant_version`.
    pub fn of(plan: &DpSgdPlan, clipping: Clipping, accountant_version: &str) -> Self {
        Self {
            mechanism: "dp-sgd".into(),
            noise: NOISE.into(),
            privacy_unit: plan.unit(),
            neighboring_relation: plan.relation(),
            epsilon: plan.epsilon(),
            delta: plan.delta().get(),
            noise_multiplier: plan.noise_multiplier(),
            sampling_rate: plan.sampling_rate(),
            expected_batch_size: plan.expected_batch_size() as u64,
            steps: plan.steps(),
            max_grad_norm: plan.max_grad_norm(),
            clipping,
            loss_noise_multiplier: plan.loss_noise_multiplier(),
            records: plan.records() as u64,
            accountant: plan.accountant(),
            accountant_version: accountant_version.to_owned(),
        }
    }

    /// The plan that it states.
    ///
    /// # Errors
    /// A [`DpError`] if there is no such plan.
    pub fn plan(&self) -> Result<DpSgdPlan, DpError> {
        // A number that does not fit is out of every plan's range, which the plan then says.
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let parameters = PlanParameters {
            records: count(self.records),
            expected_batch_size: count(self.expected_batch_size),
            steps: self.steps,
            max_grad_norm: self.max_grad_norm,
            delta: Delta::try_from(self.delta)?,
            unit: self.privacy_unit,
            loss_noise_multiplier: self.loss_noise_multiplier,
            accountant: self.accountant,
        };
        DpSgdPlan::with_noise_multiplier(parameters, self.noise_multiplier)
    }
}

/// Local differential privacy of each token or word, from the manifest that came with the perturbed file. It is the owner's own statement: the
/// service checks that it is consistent, and cannot check that the tokens really passed the channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalGuarantee {
    /// `pure-epsilon-ldp`, or `approximate-ldp` at [`delta`](Self::delta).
    pub notion: String,
    /// The δ that every ε here is stated at; none for a pure guarantee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// What passed the channel as one piece: `token` or `word`.
    #[serde(default = "token")]
    pub unit: String,
    /// The channel with its parameters, as the manifest has it.
    pub mechanism: serde_json::Value,
    /// ε of one token.
    pub epsilon_per_token: f64,
    /// ε of the longest record: its tokens compose, and a pure guarantee's ε add up.
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
    /// SHA-256 of the embedding, if the mechanism uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_sha256: Option<String>,
}

/// What every channel worked on before there were channels over words.
fn token() -> String {
    "token".into()
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
    /// The files of the adapter that training went on from, by name; none if it began anew. What was spent on it is not in this guarantee.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub initial_adapter: BTreeMap<String, String>,
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
