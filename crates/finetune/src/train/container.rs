//! Flat vectors with one metadata entry as one safetensors file: what checkpoints and shards are written in.
//!
//! One entry, because the order of several is not fixed, and equal contents shall have equal bytes.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A vector of numbers, little-endian.
pub(super) struct Tensor {
    pub(super) name: &'static str,
    pub(super) dtype: Dtype,
    /// A whole number of them.
    pub(super) bytes: Vec<u8>,
}

/// The file of `tensors`, and of `metadata` under `key`.
pub(super) fn write(tensors: &[Tensor], key: &str, metadata: &impl Serialize) -> Vec<u8> {
    // Serialising plain structs with string keys into memory has no way to fail.
    let metadata = serde_json::to_string(metadata).expect("the metadata is plain data");
    let views = tensors.iter().map(|Tensor { name, dtype, bytes }| {
        let shape = vec![bytes.len() * 8 / dtype.bitsize()];
        // The shape was counted from the bytes.
        (*name, TensorView::new(*dtype, shape, bytes).expect("the shape fits the bytes"))
    });
    let header = HashMap::from([(key.to_owned(), metadata)]);
    // Only a header above 100 MB fails, and this one has a few tensors.
    safetensors::serialize(views, Some(header)).expect("the header is small")
}

/// The metadata under `key`, or why there is none.
pub(super) fn metadata<T: DeserializeOwned>(bytes: &[u8], key: &str) -> Result<T, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(key));
    let text = text.ok_or_else(|| format!("it has no {key} metadata"))?;
    serde_json::from_str(text).map_err(|e| e.to_string())
}
