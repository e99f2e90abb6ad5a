//! Tensors of a safetensors file, each handed out once as f32 after its shape and values were checked.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::LanguageModelError;

pub(super) const EMBEDDINGS: &str = "model.embed_tokens.weight";
pub(super) const HEAD: &str = "lm_head.weight";
/// Old files store a buffer that follows from the configuration.
const DERIVED: &str = ".rotary_emb.inv_freq";

pub(super) struct Tensors<'a>(BTreeMap<String, TensorView<'a>>);

impl<'a> Tensors<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, LanguageModelError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| LanguageModelError::Corrupt(error.to_string()))?;
        Ok(Self(file.tensors().into_iter().filter(|(name, _)| !name.ends_with(DERIVED)).collect()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LanguageModelError> {
        let view = self.0.remove(name).ok_or_else(|| LanguageModelError::MissingTensor(name.to_owned()))?;
        if view.shape() != shape {
            let (expected, found) = (shape.to_vec(), view.shape().to_vec());
            return Err(LanguageModelError::Shape { name: name.to_owned(), expected, found });
        }
        let values = values(&view).ok_or_else(|| LanguageModelError::Format {
            name: name.to_owned(),
            format: format!("{:?}", view.dtype()),
        })?;
        let is_finite = values.iter().all(|value| value.is_finite());
        if is_finite { Ok(values) } else { Err(LanguageModelError::NotFinite(name.to_owned())) }
    }

    /// Refuses what nobody took: a tensor that would be left out silently makes another model.
    pub(super) fn finish(self) -> Result<(), LanguageModelError> {
        match self.0.into_keys().next() {
            Some(name) => Err(LanguageModelError::UnknownTensor(name)),
            None => Ok(()),
        }
    }
}

fn values(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let (pairs, quads) = (view.data().as_chunks::<2>().0, view.data().as_chunks::<4>().0);
    match view.dtype() {
        Dtype::F32 => Some(quads.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => Some(pairs.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()),
        Dtype::BF16 => Some(pairs.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()),
        _ => None,
    }
}
