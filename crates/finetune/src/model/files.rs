//! The files of a model: from a folder on disk or from an object store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{ModelError, WeightBytes};
use crate::chat::{CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE};

/// The file names of a Hugging Face model folder that this crate reads.
pub const CONFIG_FILE: &str = "config.json";
/// The tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The weights of a model in one file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Which shard holds which tensor, for a model in several files.
pub const WEIGHTS_INDEX_FILE: &str = "model.safetensors.index.json";

/// A model's files as they lie in its folder. Weights are shared, not copied, by a clone.
#[derive(Clone)]
pub struct ModelFiles {
    /// `config.json`
    pub config_json: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer_json: Vec<u8>,
    /// `tokenizer_config.json`, if there is one: the chat template and the special tokens that it writes.
    pub tokenizer_config_json: Option<Vec<u8>>,
    /// `chat_template.jinja`, if there is one.
    pub chat_template_jinja: Option<Vec<u8>>,
    /// Name and bytes of one or several safetensors shards.
    pub weights: Vec<(String, WeightBytes)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl ModelFiles {
    /// Opens a model folder, with its shards where it has a `model.safetensors.index.json`. Weights are mapped, not
    /// read: they cost memory only while they are used, and their files must not be changed in place meanwhile.
    ///
    /// # Errors
    /// [`ModelError::MissingFile`] names the file; [`ModelError::Io`] and [`ModelError::Config`] as they say.
    pub fn from_dir(folder: &Path) -> Result<Self, ModelError> {
        let weights = weight_files(folder)?
            .into_iter()
            .map(|name| map(folder, &name).map(|bytes| (name, bytes)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            config_json: read(folder, CONFIG_FILE)?,
            tokenizer_json: read(folder, TOKENIZER_FILE)?,
            tokenizer_config_json: read_optional(folder, TOKENIZER_CONFIG_FILE)?,
            chat_template_jinja: read_optional(folder, CHAT_TEMPLATE_FILE)?,
            weights,
        })
    }

    /// Gives back the memory that reading mapped weights has taken, see [`WeightBytes`].
    pub(crate) fn release(&self) {
        self.weights.iter().for_each(|(_, bytes)| bytes.release());
    }

    /// SHA-256 in hex over the configuration and every weights file, each with its name and length.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let config = (CONFIG_FILE, self.config_json.as_slice());
        let weights = self.weights.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
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

fn read_optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
    match read(folder, name) {
        Err(ModelError::MissingFile { .. }) => Ok(None),
        other => other.map(Some),
    }
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, ModelError> {
    std::fs::read(folder.join(name)).map_err(|source| cannot_read(folder, name, source))
}

fn map(folder: &Path, name: &str) -> Result<WeightBytes, ModelError> {
    WeightBytes::map(&folder.join(name)).map_err(|source| cannot_read(folder, name, source))
}

fn cannot_read(folder: &Path, name: &str, source: std::io::Error) -> ModelError {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            ModelError::MissingFile { file: name.to_owned(), folder: folder.display().to_string() }
        }
        _ => ModelError::Io { path: folder.join(name).display().to_string(), source },
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
