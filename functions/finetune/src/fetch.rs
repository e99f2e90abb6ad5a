//! What a job trains on, from the object store, each checked against its hash.

use crate::problem::{Subject, permanent};
use bytes::Bytes;
use finetune::ModelFiles;
use finetune::chat::{CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE};
use finetune::model::{CONFIG_FILE, TOKENIZER_FILE, WeightBytes};
use jobs::{SliceError, Store, StoreError};
use protocol::api::{FileMeta, ModelFileEntry, ModelIndex};
use protocol::id::{FileId, ModelId, TenantId};
use protocol::keys;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// A base model's index and the name of exactly this version of it.
#[derive(Debug, Clone)]
pub(crate) struct IndexedModel {
    pub(crate) index: ModelIndex,
    /// SHA-256 of the index, which holds the hashes of all files.
    pub(crate) version: String,
}

/// Reads what files `model` has.
pub(crate) async fn model_index(store: &dyn Store, model: &ModelId) -> Result<IndexedModel, SliceError> {
    let missing = || {
        permanent(
            Subject::Model,
            format!("the base model `{model}` is no longer in the service: choose another one"),
        )
    };
    let bytes = get(store, &keys::model_file(model, keys::MODEL_INDEX)).await?.ok_or_else(missing)?;
    let damaged = |_| {
        permanent(
            Subject::Model,
            format!(
                "the index of the base model `{model}` is damaged: it must be added to the service again"
            ),
        )
    };
    Ok(IndexedModel { index: serde_json::from_slice(&bytes).map_err(damaged)?, version: sha256(&bytes) })
}

/// SHA-256 of the files that training uses, by name.
pub(crate) fn used_hashes(index: &ModelIndex) -> BTreeMap<String, String> {
    let used = index.files.iter().filter(|(name, _)| is_used(name));
    used.map(|(name, entry)| (name.clone(), entry.sha256.clone())).collect()
}

fn is_used(name: &str) -> bool {
    [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE].contains(&name)
        || name.ends_with(".safetensors")
}

/// Reads the files that training uses; weights are mapped from `scratch` where it has room for them.
pub(crate) async fn model_files(
    store: &dyn Store,
    index: &ModelIndex,
    scratch: Option<&Path>,
) -> Result<ModelFiles, SliceError> {
    let mut files = ModelFiles {
        config_json: Vec::new(),
        tokenizer_json: Vec::new(),
        tokenizer_config_json: None,
        chat_template_jinja: None,
        weights: Vec::new(),
    };
    for (name, entry) in index.files.iter().filter(|(name, _)| is_used(name)) {
        let bytes = model_file(store, &index.id, name, entry).await?;
        match name.as_str() {
            CONFIG_FILE => files.config_json = bytes.to_vec(),
            TOKENIZER_FILE => files.tokenizer_json = bytes.to_vec(),
            TOKENIZER_CONFIG_FILE => files.tokenizer_config_json = Some(bytes.to_vec()),
            CHAT_TEMPLATE_FILE => files.chat_template_jinja = Some(bytes.to_vec()),
            _ => files.weights.push((name.clone(), placed(bytes, scratch))),
        }
    }
    Ok(files)
}

/// Weights in a mapped file, or in memory where there is no folder or it is full: that costs memory, not correctness.
fn placed(bytes: Bytes, scratch: Option<&Path>) -> WeightBytes {
    let spilled = scratch.and_then(|folder| WeightBytes::spilled(&bytes, folder).ok());
    spilled.unwrap_or_else(|| bytes.into())
}

/// Reads the model's neighbour table, if it has one.
pub(crate) async fn neighbour_table(
    store: &dyn Store,
    index: &ModelIndex,
) -> Result<Option<Bytes>, SliceError> {
    match index.files.get(keys::MODEL_NEIGHBOURS) {
        Some(entry) => model_file(store, &index.id, keys::MODEL_NEIGHBOURS, entry).await.map(Some),
        None => Ok(None),
    }
}

async fn model_file(
    store: &dyn Store,
    model: &ModelId,
    name: &str,
    entry: &ModelFileEntry,
) -> Result<Bytes, SliceError> {
    let bytes = get(store, &keys::model_file(model, name)).await?;
    let whole = bytes.filter(|bytes| bytes.len() as u64 == entry.bytes && sha256(bytes) == entry.sha256);
    whole.ok_or_else(|| {
        permanent(Subject::Model, format!("the file {name} of the base model `{model}` is missing or damaged: it must be added to the service again"))
    })
}

/// Reads a training file's metadata.
pub(crate) async fn file_meta(
    store: &dyn Store,
    tenant: &TenantId,
    file: &FileId,
) -> Result<FileMeta, SliceError> {
    let missing = || {
        permanent(
            Subject::TrainingFile,
            "the training file was deleted: upload it again and create a new job",
        )
    };
    let bytes = get(store, &keys::file_meta(tenant, file)).await?.ok_or_else(missing)?;
    serde_json::from_slice(&bytes).map_err(|_| {
        permanent(Subject::TrainingFile, "the training file's metadata is damaged: upload the file again")
    })
}

/// Reads a training file's content.
pub(crate) async fn file_content(store: &dyn Store, meta: &FileMeta) -> Result<Bytes, SliceError> {
    let missing = || {
        permanent(
            Subject::TrainingFile,
            "the training file's content was never uploaded or was deleted: upload it and create a new job",
        )
    };
    let bytes = get(store, &meta.content_key).await?.ok_or_else(missing)?;
    if bytes.len() as u64 == meta.bytes && sha256(&bytes) == meta.sha256 {
        return Ok(bytes);
    }
    Err(permanent(
        Subject::TrainingFile,
        "the training file's content is not what was announced: upload it again",
    ))
}

async fn get(store: &dyn Store, key: &str) -> Result<Option<Bytes>, SliceError> {
    match store.get(key).await {
        Ok(object) => Ok(Some(object.bytes)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(SliceError::Retryable(error.to_string())),
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
