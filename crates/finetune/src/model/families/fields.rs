//! Typed access to the keys of a `config.json`. A key that is `null` counts as absent.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::invalid;
use crate::model::ModelError;

/// More than the largest width, vocabulary or context of any model, and small enough that products of a few sizes
/// fit 64 bits and a damaged file cannot ask for all memory.
const LARGEST_SIZE: usize = 1 << 24;
/// More blocks than any model has.
const MOST_LAYERS: usize = 1 << 12;

/// The keys of a JSON object.
pub(in crate::model) struct Fields(Map<String, Value>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl Fields {
    /// The keys of `value`; none if it is not an object.
    pub(in crate::model) fn new(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            _ => Self(Map::new()),
        }
    }

    /// The same without some keys.
    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
        Self(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Whether the key stands in the file, be it `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(in crate::model) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ModelError> {
        let Some(value) = self.0.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| invalid(format!("{key}: {error}")))
    }

    pub(super) fn or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T, ModelError> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    pub(super) fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T, ModelError> {
        self.get(key)?.ok_or_else(|| invalid(format!("{key} is missing")))
    }

    /// A width or count from 1 to [`LARGEST_SIZE`].
    pub(super) fn size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.get(key)? {
            Some(size) if !(1..=LARGEST_SIZE).contains(&size) => {
                Err(invalid(format!("{key} is {size}, but must be from 1 to {LARGEST_SIZE}")))
            }
            size => Ok(size),
        }
    }

    pub(super) fn required_size(&self, key: &str) -> Result<usize, ModelError> {
        self.size(key)?.ok_or_else(|| invalid(format!("{key} is missing")))
    }

    /// A number of blocks.
    pub(super) fn layers(&self, key: &str) -> Result<usize, ModelError> {
        match self.required_size(key)? {
            layers if layers > MOST_LAYERS => {
                Err(invalid(format!("{key} is {layers}, but must be at most {MOST_LAYERS}")))
            }
            layers => Ok(layers),
        }
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Self>, ModelError> {
        Ok(self.get::<Map<String, Value>>(key)?.map(Self))
    }

    /// One token, several or none.
    pub(super) fn tokens(&self, key: &str) -> Result<Vec<u32>, ModelError> {
        Ok(match self.get(key)? {
            None => Vec::new(),
            Some(OneOrMany::One(id)) => vec![id],
            Some(OneOrMany::Many(ids)) => ids,
        })
    }
}
