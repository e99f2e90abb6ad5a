//! The tensors of safetensors shards by name, and their values as f32.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::architecture::TensorNames;
use super::{ModelError, WeightBytes};

/// Buffers that old exports store although they follow from the configuration.
const DERIVED_BUFFER_SUFFIXES: [&str; 3] = [".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"];

/// What stands before the stored names, so that they become those of [`TensorNames`].
///
/// A file that was saved without the head leaves out the name of the whole: `h.0.ln_1.weight` instead of
/// `transformer.h.0.ln_1.weight`.
pub(crate) struct Prefix<'a> {
    missing: &'a str,
    head: &'a str,
}

impl<'a> Prefix<'a> {
    pub(crate) fn of(shards: &[(String, WeightBytes)], names: &'a TensorNames) -> Result<Self, ModelError> {
        let whole = names.embeddings.split_inclusive('.').next().unwrap_or_default();
        let mut there = false;
        for (file, bytes) in shards {
            there |= open(file, bytes)?.names().iter().any(|name| name.starts_with(whole));
        }
        Ok(Self { missing: if there { "" } else { whole }, head: names.head })
    }

    /// The name in [`TensorNames`] of a stored tensor.
    pub(crate) fn full(&self, stored: &str) -> String {
        match stored.strip_prefix(self.head).is_some_and(|rest| rest.starts_with('.')) {
            true => stored.to_owned(),
            false => format!("{}{stored}", self.missing),
        }
    }
}

/// All tensors of the shards by their full names, without derived buffers.
pub(crate) fn tensors<'a>(
    shards: &'a [(String, WeightBytes)],
    names: &TensorNames,
) -> Result<BTreeMap<String, TensorView<'a>>, ModelError> {
    let prefix = Prefix::of(shards, names)?;
    let mut tensors = BTreeMap::new();
    for (file, bytes) in shards {
        for (stored, view) in open(file, bytes)?.tensors() {
            let name = prefix.full(&stored);
            if DERIVED_BUFFER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
                continue;
            }
            if tensors.insert(name.clone(), view).is_some() {
                return Err(ModelError::DuplicateTensor { name });
            }
        }
    }
    Ok(tensors)
}

/// Opens one safetensors file.
pub(crate) fn open<'a>(file: &str, bytes: &'a [u8]) -> Result<SafeTensors<'a>, ModelError> {
    SafeTensors::deserialize(bytes)
        .map_err(|e| ModelError::CorruptWeights { file: file.to_owned(), reason: e.to_string() })
}

/// Refuses number formats that [`finite_f32`] does not read.
pub(crate) fn check_dtype(name: &str, dtype: Dtype) -> Result<(), ModelError> {
    match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => Ok(()),
        other => Err(ModelError::UnsupportedDtype { name: name.into(), dtype: format!("{other:?}") }),
    }
}

/// The values of a tensor as f32, all of them finite.
pub(crate) fn finite_f32(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, ModelError> {
    check_dtype(name, view.dtype())?;
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F16 => pieces(bytes).map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pieces(bytes).map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        _ => pieces(bytes).map(f32::from_le_bytes).collect(),
    };
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(ModelError::NotFinite { name: name.into() })
    }
}

/// Whether every value of a tensor is finite, without converting them.
pub(crate) fn check_finite(name: &str, view: &TensorView<'_>) -> Result<(), ModelError> {
    check_dtype(name, view.dtype())?;
    let bytes = view.data();
    // All bits of the exponent are set in NaN and infinities alone.
    let half = |exponent: u16| pieces(bytes).all(|b| u16::from_le_bytes(b) & exponent != exponent);
    let finite = match view.dtype() {
        Dtype::F16 => half(0x7c00),
        Dtype::BF16 => half(0x7f80),
        _ => pieces(bytes).map(f32::from_le_bytes).all(f32::is_finite),
    };
    if finite { Ok(()) } else { Err(ModelError::NotFinite { name: name.into() }) }
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

/// The transpose of a row-major `[rows, columns]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    debug_assert_eq!(values.len(), rows * columns);
    (0..columns).flat_map(|column| values[column..].iter().step_by(columns).take(rows)).copied().collect()
}
