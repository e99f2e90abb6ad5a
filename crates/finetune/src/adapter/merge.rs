//! Merging an adapter into its base: `W + scaling·B·A`, a plain model that needs no PEFT.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::{Adapter, AdapterError};
use crate::lora::LoraEntry;
use crate::model::checkpoint::Checkpoint;
use crate::model::weights::{Prefix, encode, finite_f32, open};
use crate::model::{ModelError, ModelFiles, WEIGHTS_FILE};
use crate::ops::matrix::{Matrix, add_scaled, product};

/// The base model's files with the adapter merged in: configuration and tokenizer unchanged, weights in one
/// safetensors file in their old number formats (so a half-precision base rounds the merged weights).
///
/// # Errors
/// [`AdapterError`] if the base cannot be loaded or the adapter does not fit it.
pub fn merge(base: &ModelFiles, adapter: &Adapter) -> Result<ModelFiles, AdapterError> {
    let checkpoint = Checkpoint::open(base)?;
    adapter.layout_on(checkpoint.config())?;
    let prefix = Prefix::of(&base.weights, &checkpoint.config().names)?;
    let updates: HashMap<String, &LoraEntry> = adapter
        .layout
        .entries()
        .iter()
        .map(|entry| (format!("{}.weight", adapter.layout.path(entry)), entry))
        .collect();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (file, bytes) in &base.weights {
        for (name, view) in open(file, bytes)?.tensors() {
            let data = match updates.get(&prefix.full(&name)) {
                Some(entry) => merged(&name, &view, entry, adapter)?,
                None => view.data().to_vec(),
            };
            tensors.push((name, view.dtype(), view.shape().to_vec(), data));
        }
    }
    Ok(ModelFiles {
        config_json: base.config_json.clone(),
        tokenizer_json: base.tokenizer_json.clone(),
        tokenizer_config_json: base.tokenizer_config_json.clone(),
        chat_template_jinja: base.chat_template_jinja.clone(),
        weights: vec![(WEIGHTS_FILE.to_owned(), serialise(&tensors)?.into())],
    })
}

fn merged(
    name: &str,
    view: &TensorView<'_>,
    entry: &LoraEntry,
    adapter: &Adapter,
) -> Result<Vec<u8>, ModelError> {
    let mut weight = finite_f32(name, view)?;
    let (layout, rank) = (&adapter.layout, adapter.lora.rank);
    let b = Matrix::new(layout.b(entry, &adapter.parameters), entry.output, rank);
    let a = Matrix::new(layout.a(entry, &adapter.parameters), rank, entry.input);
    let update = if layout.names().transposed { product(a.t(), b.t()) } else { product(b, a) };
    add_scaled(&mut weight, adapter.lora.scaling() as f32, &update);
    Ok(encode(&weight, view.dtype()))
}

fn serialise(tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> Result<Vec<u8>, ModelError> {
    let corrupt = |e: safetensors::SafeTensorError| ModelError::CorruptWeights {
        file: WEIGHTS_FILE.to_owned(),
        reason: e.to_string(),
    };
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(corrupt)?;
    let header = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(header)).map_err(corrupt)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
