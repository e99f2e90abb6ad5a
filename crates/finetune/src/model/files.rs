//! The files of a model, in memory: from a folder on disk or from an object store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ModelError;

/// The file names of a Hugging Face model folder that this crate reads.
pub const CONFIG_FILE: &str = "config.json";
/// The tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The weights of a model in one file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Which shard holds which tensor, for a model in several files.
pub const WEIGHTS_INDEX_FILE: &str = "model.safetensors.index.json";

/// A model's files as they lie in its folder.
#[derive(Clone)]
pub struct ModelFiles {
    /// `config.json`
    pub config_json: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer_json: Vec<u8>,
    /// Name and bytes of one or several safetensors shards.
    pub weights: Vec<(String, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl ModelFiles {
    /// Reads a model folder, with its shards where it has a `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`ModelError::MissingFile`] names the file; [`ModelError::Io`] and [`ModelError::Config`] as they say.
    pub fn from_dir(folder: &Path) -> Result<Self, ModelError> {
        let weights = weight_files(folder)?
            .into_iter()
            .map(|name| read(folder, &name).map(|bytes| (name, bytes)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            config_json: read(folder, CONFIG_FILE)?,
            tokenizer_json: read(folder, TOKENIZER_FILE)?,
            weights,
        })
    }

    /// SHA-256 in hex over the configuration and every weights file, each with its name and length.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let config = (CONFIG_FILE, self.config_json.as_slice());
        let weights = self.weights.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        for (name, bytes) in std::iter::once(config).chain(weights) {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        crate::hex(&hash.finalize())
    }
}

fn weight_files(folder: &Path) -> Result<BTreeSet<String>, ModelError> {
    if folder.join(WEIGHTS_FILE).exists() || !folder.join(WEIGHTS_INDEX_FILE).exists() {
        return Ok(BTreeSet::from([WEIGHTS_FILE.to_owned()]));
    }
    let index: Index = serde_json::from_slice(&read(folder, WEIGHTS_INDEX_FILE)?)
        .map_err(|e| ModelError::Config { file: WEIGHTS_INDEX_FILE, reason: e.to_string() })?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    // A shard is a plain file name: an index must not reach outside of its folder.
    match files.iter().find(|name| name.contains(['/', '\\']) || !name.ends_with(".safetensors")) {
        Some(name) => Err(ModelError::Config {
            file: WEIGHTS_INDEX_FILE,
            reason: format!("{name:?} is not the name of a safetensors file in this folder"),
        }),
        None => Ok(files),
    }
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, ModelError> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            ModelError::MissingFile { file: name.to_owned(), folder: folder.display().to_string() }
        }
        _ => ModelError::Io { path: path.display().to_string(), source },
    })
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
