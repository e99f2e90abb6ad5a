//! The adapter's folder: what the owner downloads in the end.

use crate::fetch::sha256;
use crate::model_card;
use dp::DpSgdPlan;
use finetune::Adapter;
use finetune::model::TOKENIZER_FILE;
use perturb::Manifest;
use protocol::certificate::{CERTIFICATE_VERSION, Certificate, Hashes, LocalGuarantee, TrainingGuarantee};
use protocol::state::JobState;
use std::collections::BTreeMap;

/// The certificate's file name.
pub(crate) const CERTIFICATE_FILE: &str = "privacy.json";
/// The model card's file name, as Hugging Face has it.
pub(crate) const MODEL_CARD_FILE: &str = "README.md";

/// Where the adapter comes from.
pub(crate) struct Provenance<'a> {
    pub(crate) job: &'a JobState,
    pub(crate) plan: &'a DpSgdPlan,
    pub(crate) manifest: Option<&'a Manifest>,
    pub(crate) tokenizer_json: &'a [u8],
    pub(crate) model_hashes: &'a BTreeMap<String, String>,
    pub(crate) training_file_sha256: &'a str,
    pub(crate) code_version: &'a str,
    /// Unix seconds.
    pub(crate) now: u64,
}

/// All files of the folder. The certificate comes last and holds the hashes of the others.
pub(crate) fn files(adapter: &Adapter, provenance: &Provenance<'_>) -> Vec<(String, Vec<u8>)> {
    let mut files = adapter.to_files(provenance.job.spec.model.as_str());
    files.push((TOKENIZER_FILE.to_owned(), provenance.tokenizer_json.to_vec()));
    let mut certificate = certificate(provenance);
    files.push((MODEL_CARD_FILE.to_owned(), model_card::render(&certificate).into_bytes()));
    certificate.hashes.adapter = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    // A struct of finite numbers, strings and maps with string keys always serialises.
    let json = serde_json::to_vec_pretty(&certificate).expect("a certificate is plain data");
    files.push((CERTIFICATE_FILE.to_owned(), json));
    files
}

fn certificate(provenance: &Provenance<'_>) -> Certificate {
    let Provenance { job, plan, .. } = provenance;
    Certificate {
        version: CERTIFICATE_VERSION,
        created_at: provenance.now,
        job: job.id.clone(),
        base_model: job.spec.model.clone(),
        training: training_guarantee(plan, provenance.code_version),
        local: provenance.manifest.map(local_guarantee),
        hyperparameters: job.spec.dp_lora.clone(),
        hashes: Hashes {
            training_file: provenance.training_file_sha256.to_owned(),
            base_model: provenance.model_hashes.clone(),
            adapter: BTreeMap::new(),
        },
        code_version: provenance.code_version.to_owned(),
    }
}

fn training_guarantee(plan: &DpSgdPlan, code_version: &str) -> TrainingGuarantee {
    TrainingGuarantee {
        mechanism: "dp-sgd".into(),
        privacy_unit: plan.unit(),
        neighboring_relation: plan.relation(),
        epsilon: plan.epsilon(),
        delta: plan.delta().get(),
        noise_multiplier: plan.noise_multiplier(),
        sampling_rate: plan.sampling_rate(),
        steps: plan.steps(),
        max_grad_norm: plan.max_grad_norm(),
        records: plan.records() as u64,
        accountant: plan.accountant(),
        accountant_version: code_version.to_owned(),
    }
}

fn local_guarantee(manifest: &Manifest) -> LocalGuarantee {
    LocalGuarantee {
        notion: "pure-epsilon-ldp".into(),
        // An enum of numbers with a tag always serialises.
        mechanism: serde_json::to_value(manifest.mechanism).expect("a mechanism is plain data"),
        epsilon_per_token: manifest.epsilon_per_token.get(),
        epsilon_of_longest_record: manifest.epsilon_of_longest_record(),
        max_tokens_in_a_record: manifest.max_tokens_in_a_record,
        tokens: manifest.tokens,
        domain_size: manifest.domain_size,
        domain_sha256: manifest.domain_sha256.to_string(),
        neighbour_table_sha256: manifest.neighbour_table_sha256.map(|digest| digest.to_string()),
    }
}

#[cfg(test)]
#[path = "adapter_folder_tests.rs"]
mod tests;
