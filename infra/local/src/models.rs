//! Publishing base models: a folder is loaded and checked as the trainer would, then uploaded with its neighbour table, the index last.
//!
//! Invariant: a model's index is there only while all files that it names are, with the hashes it states.

use crate::error::{LocalError, at};
use bytes::Bytes;
use finetune::chat::chat_files;
use finetune::model::{CONFIG_FILE, TOKENIZER_FILE};
use finetune::{BaseModel, ModelConfig, ModelFiles};
use jobs::{Clock, PutCondition, Store, StoreError};
use perturb::{DEFAULT_NEIGHBOURS, NeighbourTable, Tokenizer};
use protocol::api::{ModelFileEntry, ModelIndex};
use protocol::id::ModelId;
use protocol::keys::{MODEL_INDEX, MODEL_NEIGHBOURS, model_file};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Checks the model folder `folder` and publishes it as `id`, unless exactly this model is published already.
///
/// # Errors
/// [`LocalError::Model`] when the folder does not hold a model that can be trained; nothing is uploaded then.
pub async fn publish_model(
    store: &dyn Store,
    folder: &Path,
    id: &ModelId,
    clock: &dyn Clock,
) -> Result<(), LocalError> {
    let files = ModelFiles::from_dir(folder).map_err(|error| refused(folder, &error))?;
    if published(store, id).await?.is_some_and(|index| is_of(&index, &files)) {
        return Ok(());
    }
    let checked = tokio::task::spawn_blocking(move || check(files)).await;
    // The check does not panic on any input that we know of; should it, the folder is to blame all the same.
    let checked = checked.unwrap_or_else(|_| Err("it cannot be loaded".to_owned()));
    let model = checked.map_err(|reason| refused(folder, reason))?;
    upload(store, id, model, clock.now()).await
}

/// Publishes every model folder in `models_dir`, each under its folder's name.
///
/// # Errors
/// As [`publish_model`], and when a folder's name cannot be a model's.
pub(crate) async fn publish_all(
    store: &dyn Store,
    models_dir: &Path,
    clock: &dyn Clock,
) -> Result<(), LocalError> {
    let mut folders: Vec<_> = std::fs::read_dir(models_dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(at(models_dir))?;
    folders.retain(|path| path.join("config.json").exists());
    folders.sort();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = ModelId::parse(name).map_err(|error| refused(&folder, error.to_string()))?;
        publish_model(store, &folder, &id, clock).await?;
        tracing::info!(model = %id, "the model is published");
    }
    Ok(())
}

/// A model that can be trained, as files to upload.
struct Checked {
    description: String,
    files: BTreeMap<String, Bytes>,
}

/// Loads the model as a trainer would and makes its neighbour table.
fn check(files: ModelFiles) -> Result<Checked, String> {
    let model = BaseModel::load(&files).map_err(|error| error.to_string())?;
    let tokenizer = Tokenizer::from_bytes(&files.tokenizer_json).map_err(|error| error.to_string())?;
    let domain = tokenizer.domain();
    let (embeddings, dim) = model.input_embeddings().map_err(|error| error.to_string())?;
    // A set of neighbours leaves out at least one token, also in the tiniest vocabulary.
    let columns = DEFAULT_NEIGHBOURS.min(u32::try_from(domain.len() - 1).unwrap_or(DEFAULT_NEIGHBOURS));
    let table =
        NeighbourTable::build(&embeddings, dim, domain, columns).map_err(|error| error.to_string())?;
    let table = table.to_bytes(domain).map_err(|error| error.to_string())?;
    let description = describe(model.config());
    drop(model);
    let chat: Vec<(String, Bytes)> = chat_files(&files)
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), Bytes::copy_from_slice(bytes)))
        .collect();
    let mut named: BTreeMap<String, Bytes> =
        files.weights.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
    named.insert(CONFIG_FILE.into(), files.config_json.into());
    named.insert(TOKENIZER_FILE.into(), files.tokenizer_json.into());
    named.insert(MODEL_NEIGHBOURS.into(), table.into());
    named.extend(chat);
    Ok(Checked { description, files: named })
}

fn describe(config: &ModelConfig) -> String {
    format!(
        "A {} model: {} layers of width {}, vocabulary of {} tokens, sequences of up to {}.",
        config.family,
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size,
        config.max_position_embeddings
    )
}

async fn upload(store: &dyn Store, id: &ModelId, model: Checked, now: u64) -> Result<(), LocalError> {
    let index_key = model_file(id, MODEL_INDEX);
    // An older model of this name goes out of sight before its files change.
    store.delete(&index_key).await?;
    let mut entries = BTreeMap::new();
    for (name, bytes) in model.files {
        entries.insert(name.clone(), entry(&bytes));
        store.put(&model_file(id, &name), bytes, PutCondition::Always).await?;
    }
    let index = ModelIndex { id: id.clone(), created: now, description: model.description, files: entries };
    // A struct of strings and numbers always serialises.
    let body = serde_json::to_vec(&index).expect("a model's index is plain data");
    store.put(&index_key, body.into(), PutCondition::Always).await?;
    Ok(())
}

async fn published(store: &dyn Store, id: &ModelId) -> Result<Option<ModelIndex>, LocalError> {
    match store.get(&model_file(id, MODEL_INDEX)).await {
        // An index that cannot be read is replaced.
        Ok(object) => Ok(serde_json::from_slice(&object.bytes).ok()),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// True when `index` was made from exactly these files.
fn is_of(index: &ModelIndex, files: &ModelFiles) -> bool {
    let weights = files.weights.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
    let sources =
        [(CONFIG_FILE, files.config_json.as_slice()), (TOKENIZER_FILE, files.tokenizer_json.as_slice())];
    let sources = sources.into_iter().chain(chat_files(files));
    let mut expected: BTreeMap<&str, ModelFileEntry> =
        sources.chain(weights).map(|(name, bytes)| (name, entry(bytes))).collect();
    let Some(table) = index.files.get(MODEL_NEIGHBOURS) else { return false };
    expected.insert(MODEL_NEIGHBOURS, table.clone());
    index
        .files
        .iter()
        .map(|(name, entry)| (name.as_str(), entry))
        .eq(expected.iter().map(|(name, entry)| (*name, entry)))
}

fn entry(bytes: &[u8]) -> ModelFileEntry {
    ModelFileEntry { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
}

fn refused(folder: &Path, reason: impl ToString) -> LocalError {
    LocalError::Model { path: folder.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
