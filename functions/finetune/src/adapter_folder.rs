//! The adapter's folder: what the owner downloads in the end.

use crate::fetch::sha256;
use crate::model_card;
use dp::{Budget, DpSgdPlan};
use finetune::Adapter;
use finetune::model::TOKENIZER_FILE;
use perturb::{ChannelUnit, Manifest};
use protocol::certificate::{CERTIFICATE_VERSION, Certificate, Hashes, LocalGuarantee, TrainingGuarantee};
use protocol::hyperparameters::DpLora;
use protocol::id::JobId;
use protocol::signature::{self, CertificateKey};
use std::collections::BTreeMap;

/// The certificate's file name.
pub const CERTIFICATE_FILE: &str = "privacy.json";
/// The model card's file name, as Hugging Face has it.
pub const MODEL_CARD_FILE: &str = "README.md";

/// Where the adapter comes from.
#[derive(Debug)]
pub struct Provenance<'a> {
    /// The job, if there was one.
    pub job: Option<JobId>,
    /// The base model's name.
    pub base_model: &'a str,
    /// What was asked for.
    pub settings: &'a DpLora,
    /// What was run.
    pub plan: &'a DpSgdPlan,
    /// What all jobs on the file may spend, if somebody keeps that account.
    pub dataset_budget: Option<Budget>,
    /// What the text passed before it was trained on; none for plain text.
    pub manifest: Option<&'a Manifest>,
    /// SHA-256 of the files of the adapter that training went on from, by name; none if it began anew.
    pub initial_adapter: BTreeMap<String, String>,
    /// The base model's tokenizer.
    pub tokenizer_json: &'a [u8],
    /// SHA-256 of the base model's files, by name.
    pub model_hashes: &'a BTreeMap<String, String>,
    /// SHA-256 of the training file.
    pub training_file_sha256: &'a str,
    /// Version of the code.
    pub code_version: &'a str,
    /// Unix seconds.
    pub now: u64,
    /// Who vouches for it; none leaves the certificate unsigned.
    pub signing_key: Option<&'a CertificateKey>,
}

/// All files of the folder. The certificate comes last and holds the hashes of the others.
pub fn files(adapter: &Adapter, provenance: &Provenance<'_>) -> Vec<(String, Vec<u8>)> {
    let mut files = adapter.to_files(provenance.base_model);
    files.push((TOKENIZER_FILE.to_owned(), provenance.tokenizer_json.to_vec()));
    let mut certificate = certificate(provenance);
    files.push((MODEL_CARD_FILE.to_owned(), model_card::render(&certificate).into_bytes()));
    certificate.hashes.adapter = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    let text = match provenance.signing_key {
        Some(key) => key.sign(&certificate),
        None => signature::text(&certificate),
    };
    files.push((CERTIFICATE_FILE.to_owned(), text.into_bytes()));
    files
}

fn certificate(provenance: &Provenance<'_>) -> Certificate {
    Certificate {
        version: CERTIFICATE_VERSION,
        created_at: provenance.now,
        job: provenance.job.clone(),
        base_model: provenance.base_model.to_owned(),
        training: TrainingGuarantee::of(
            provenance.plan,
            provenance.settings.clipping,
            provenance.code_version,
        ),
        local: provenance.manifest.map(local_guarantee),
        dataset_budget: provenance.dataset_budget,
        hyperparameters: provenance.settings.clone(),
        hashes: Hashes {
            training_file: provenance.training_file_sha256.to_owned(),
            base_model: provenance.model_hashes.clone(),
            adapter: BTreeMap::new(),
            initial_adapter: provenance.initial_adapter.clone(),
        },
        code_version: provenance.code_version.to_owned(),
        signature: None,
    }
}

fn local_guarantee(manifest: &Manifest) -> LocalGuarantee {
    LocalGuarantee {
        notion: match manifest.delta {
            None => "pure-epsilon-ldp".into(),
            Some(_) => "approximate-ldp".into(),
        },
        delta: manifest.delta.map(|delta| delta.get()),
        unit: match manifest.channel_unit {
            ChannelUnit::Word => "word".into(),
            _ => "token".into(),
        },
        // An enum of numbers with a tag always serialises.
        mechanism: serde_json::to_value(manifest.mechanism).expect("a mechanism is plain data"),
        epsilon_per_token: manifest.epsilon_per_token.get(),
        epsilon_of_longest_record: manifest.epsilon_of_longest_record(),
        max_tokens_in_a_record: manifest.max_tokens_in_a_record,
        tokens: manifest.tokens,
        domain_size: manifest.domain_size,
        domain_sha256: manifest.domain_sha256.to_string(),
        embedding_sha256: manifest.embedding.map(|embedding| embedding.sha256.to_string()),
        neighbour_table_sha256: manifest.neighbour_table_sha256.map(|digest| digest.to_string()),
    }
}

#[cfg(test)]
#[path = "adapter_folder_tests.rs"]
mod tests;
