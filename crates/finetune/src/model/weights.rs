//! Tensors of safetensors shards, checked against what the architecture needs.
//!
//! [`Weights::take`] hands a tensor out once, with its shape, as f32; [`Weights::finish`] refuses leftovers, so that
//! a file with a tensor we would silently ignore is not loaded.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::ModelError;

/// Buffers that old exports store although they follow from the configuration.
const DERIVED_BUFFER_SUFFIX: &str = ".rotary_emb.inv_freq";

pub(crate) struct Weights<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> Weights<'a> {
    pub(crate) fn read(shards: &'a [(String, Vec<u8>)]) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        for (file, bytes) in shards {
            for (name, view) in open(file, bytes)?.tensors() {
                if name.ends_with(DERIVED_BUFFER_SUFFIX) {
                    continue;
                }
                if tensors.insert(name.clone(), view).is_some() {
                    return Err(ModelError::DuplicateTensor { name });
                }
            }
        }
        Ok(Self { tensors })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The named tensor as f32.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let view =
            self.tensors.remove(name).ok_or_else(|| ModelError::MissingTensor { name: name.into() })?;
        if view.shape() != shape {
            return Err(ModelError::WrongShape {
                name: name.into(),
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        Ok(Tensor::from_vec(finite_f32(name, &view)?, shape, &Device::Cpu)?)
    }

    pub(crate) fn finish(self) -> Result<(), ModelError> {
        match self.tensors.into_keys().next() {
            Some(name) => Err(ModelError::UnknownTensor { name }),
            None => Ok(()),
        }
    }
}

/// Opens one safetensors file.
pub(crate) fn open<'a>(file: &str, bytes: &'a [u8]) -> Result<SafeTensors<'a>, ModelError> {
    SafeTensors::deserialize(bytes)
        .map_err(|e| ModelError::CorruptWeights { file: file.to_owned(), reason: e.to_string() })
}

/// The values of a tensor as f32, all of them finite.
pub(crate) fn finite_f32(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, ModelError> {
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => pieces(bytes).map(f32::from_le_bytes).collect(),
        Dtype::F16 => pieces(bytes).map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pieces(bytes).map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        other => {
            return Err(ModelError::UnsupportedDtype { name: name.into(), dtype: format!("{other:?}") });
        }
    };
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(ModelError::NotFinite { name: name.into() })
    }
}

/// f32 values in the number format `dtype`, rounded to nearest even.
pub(crate) fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

fn pieces<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
