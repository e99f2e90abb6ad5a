//! The model families, one file each: from a family's `config.json` to the common [`ModelConfig`].
//!
//! To add a family, write its file with a [`Family`] constant and put that into [`FAMILIES`]. A family that differs
//! from Llama in a few options starts from [`llama::decoder`] and changes those.

mod fields;
mod gemma2;
mod gemma3;
mod gpt2;
mod llama;
mod mistral;
mod phi3;
mod qwen2;
mod qwen3;
mod rope;

use serde_json::Value;

use super::ModelError;
use super::architecture::{Activation, ModelConfig};
use super::config::{invalid, unsupported};
use crate::lora::ALL_LINEAR;
pub(super) use fields::Fields;

/// All supported families.
pub(crate) const FAMILIES: &[Family] = &[
    llama::FAMILY,
    gpt2::FAMILY,
    mistral::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
    phi3::FAMILY,
];

/// What is known of a family before a model of it is read.
pub(crate) struct Family {
    /// What `architectures` of `config.json` says.
    architecture: &'static str,
    /// Block i is `{block}.{i}`.
    pub(crate) block: &'static str,
    /// Paths inside of a block of the maps that an adapter may change, as in [`ModelConfig::modules`].
    pub(crate) modules: &'static [&'static str],
    /// Whether the weights of these maps are stored `[input, output]`.
    pub(crate) transposed: bool,
    pub(super) read: fn(&Fields) -> Result<ModelConfig, ModelError>,
}

/// The family of a `config.json`.
pub(super) fn of(config: &Value) -> Result<&'static Family, ModelError> {
    let names: Vec<&str> = config
        .get("architectures")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let found = match names[..] {
        [] => "no named architecture".to_owned(),
        [name] => match FAMILIES.iter().find(|family| family.architecture == name) {
            Some(family) => return Ok(family),
            None => format!("the architecture {name}"),
        },
        _ => format!("the architectures {}", names.join(", ")),
    };
    let supported: Vec<&str> = FAMILIES.iter().map(|family| family.architecture).collect();
    Err(unsupported(found, &supported.join(", ")))
}

/// Whether `name` may stand in `target_modules` for a linear map of some family.
pub fn is_target_module(name: &str) -> bool {
    let mut paths = FAMILIES.iter().flat_map(|family| family.modules);
    name == ALL_LINEAR || paths.any(|path| names_module(name, path))
}

/// PEFT's rule: a name stands for every module whose path it is, or ends.
pub(crate) fn names_module(name: &str, path: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
}

/// The nonlinearity that `key` names, by the names of `transformers`.
fn activation(fields: &Fields, key: &str, default: &str) -> Result<Activation, ModelError> {
    match fields.get(key)?.unwrap_or_else(|| default.to_owned()).as_str() {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        other => {
            let supported = "silu, gelu, gelu_new, gelu_pytorch_tanh";
            Err(unsupported(format!("the activation {other}"), supported))
        }
    }
}

/// Gives `window` to the blocks that slide: those that `layer_types` says, else those of `slides`.
fn set_windows(
    config: &mut ModelConfig,
    fields: &Fields,
    window: usize,
    slides: impl Fn(usize) -> bool,
) -> Result<(), ModelError> {
    for (layer, slides) in sliding(config.num_hidden_layers, fields, slides)?.into_iter().enumerate() {
        config.attention[layer].window = slides.then_some(window);
    }
    Ok(())
}

/// Which of the blocks have sliding attention.
fn sliding(layers: usize, fields: &Fields, slides: impl Fn(usize) -> bool) -> Result<Vec<bool>, ModelError> {
    let Some(types) = fields.get::<Vec<String>>("layer_types")? else {
        return Ok((0..layers).map(slides).collect());
    };
    if types.len() != layers {
        return Err(invalid(format!("layer_types has {} entries for {layers} layers", types.len())));
    }
    let kind = |name: String| match name.as_str() {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        _ => Err(unsupported(format!("the layer type {name}"), "full_attention, sliding_attention")),
    };
    types.into_iter().map(kind).collect()
}

#[cfg(test)]
#[path = "families_tests.rs"]
mod tests;
