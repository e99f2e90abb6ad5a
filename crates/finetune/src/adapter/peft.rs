//! PEFT's adapter files: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, HashMap};

use perturb::Shown;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Adapter, AdapterError};
use crate::lora::{LoraConfig, LoraLayout, ModuleNames};
use crate::model::weights::{encode, finite_f32};
use crate::model::{FAMILIES, Family};

/// The file that describes an adapter.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";
/// The file that holds an adapter's matrices.
pub const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";

const PEFT_PREFIX: &str = "base_model.model.";

/// `adapter_config.json` as PEFT reads it: everything it needs for plain LoRA, defaults written out.
#[derive(Serialize)]
struct ConfigFile<'a> {
    peft_type: &'static str,
    task_type: &'static str,
    base_model_name_or_path: &'a str,
    revision: Option<()>,
    inference_mode: bool,
    r: usize,
    lora_alpha: serde_json::Number,
    lora_dropout: f64,
    target_modules: Vec<String>,
    bias: &'static str,
    fan_in_fan_out: bool,
    init_lora_weights: bool,
    modules_to_save: Option<()>,
    layers_to_transform: Option<()>,
    layers_pattern: Option<()>,
    rank_pattern: BTreeMap<String, usize>,
    alpha_pattern: BTreeMap<String, usize>,
    use_rslora: bool,
    use_dora: bool,
}

#[derive(Deserialize)]
struct RawConfig {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    use_rslora: Option<bool>,
    fan_in_fan_out: Option<bool>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

impl Adapter {
    /// The adapter's two files, name and bytes; `base_model` is the name that PEFT looks the base model up by.
    pub fn to_files(&self, base_model: &str) -> Vec<(String, Vec<u8>)> {
        vec![
            (ADAPTER_WEIGHTS_FILE.to_owned(), self.weights_file()),
            (ADAPTER_CONFIG_FILE.to_owned(), self.config_file(base_model)),
        ]
    }

    fn config_file(&self, base_model: &str) -> Vec<u8> {
        let alpha = self.lora.alpha;
        // PEFT writes whole numbers as integers; a checked alpha is finite, so the fallback is never taken.
        let whole = serde_json::Number::from(alpha as u64);
        let lora_alpha = if alpha.fract() == 0.0 && alpha < 2f64.powi(53) {
            whole
        } else {
            serde_json::Number::from_f64(alpha).unwrap_or(whole)
        };
        let file = ConfigFile {
            peft_type: "LORA",
            task_type: "CAUSAL_LM",
            base_model_name_or_path: base_model,
            revision: None,
            inference_mode: true,
            r: self.lora.rank,
            lora_alpha,
            lora_dropout: 0.0,
            target_modules: self.layout.target_modules(),
            bias: "none",
            fan_in_fan_out: self.layout.names().transposed,
            init_lora_weights: true,
            modules_to_save: None,
            layers_to_transform: None,
            layers_pattern: None,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            use_rslora: self.lora.use_rslora,
            use_dora: false,
        };
        // Serialising plain structs with string keys into memory has no way to fail.
        serde_json::to_vec_pretty(&file).expect("the configuration is plain data")
    }

    fn weights_file(&self) -> Vec<u8> {
        let rank = self.layout.rank();
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for entry in self.layout.entries() {
            let path = format!("{PEFT_PREFIX}{}", self.layout.path(entry));
            let a = encode(self.layout.a(entry, &self.parameters), Dtype::F32);
            let b = encode(self.layout.b(entry, &self.parameters), Dtype::F32);
            tensors.push((format!("{path}.lora_A.weight"), vec![rank, entry.input], a));
            tensors.push((format!("{path}.lora_B.weight"), vec![entry.output, rank], b));
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            // The bytes were encoded from the slice of exactly this shape.
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the shape fits the bytes");
            (name.as_str(), view)
        });
        let header = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        // Only a header above 100 MB fails: that would be a million tensors.
        safetensors::serialize(views, Some(header)).expect("the header is small")
    }

    /// Reads an adapter from its two files, in any order and among others.
    ///
    /// # Errors
    /// [`AdapterError`] names the file and what is wrong with it; features that change the computation and are not
    /// implemented are refused rather than ignored.
    pub fn from_files(files: &[(String, Vec<u8>)]) -> Result<Self, AdapterError> {
        let find = |name: &'static str| {
            let file = files.iter().find(|(file, _)| file == name);
            file.map(|(_, bytes)| bytes.as_slice()).ok_or(AdapterError::MissingFile(name))
        };
        let raw: RawConfig = serde_json::from_slice(find(ADAPTER_CONFIG_FILE)?)
            .map_err(|e| AdapterError::Config(e.to_string()))?;
        check_features(&raw)?;
        let (family, matrices) = read_matrices(find(ADAPTER_WEIGHTS_FILE)?, raw.r)?;
        if raw.fan_in_fan_out == Some(true) && !family.transposed {
            return Err(AdapterError::Unsupported("fan_in_fan_out on maps stored [output, input]".into()));
        }
        let names = ModuleNames {
            block: family.block.to_owned(),
            paths: family.modules.iter().map(|&path| path.to_owned()).collect(),
            transposed: family.transposed,
        };
        let places = matrices.iter().map(|(&(layer, module), pair)| (layer, module, pair.widths));
        let layout = LoraLayout::from_places(raw.r, names, places);
        let parameters = matrices.values().flat_map(|pair| pair.a.iter().chain(&pair.b)).copied().collect();
        let lora = LoraConfig {
            rank: raw.r,
            alpha: raw.lora_alpha,
            target_modules: layout.target_modules(),
            use_rslora: raw.use_rslora.unwrap_or(false),
        };
        Ok(Self::new(lora, layout, parameters))
    }
}

/// Options of PEFT that change the computation must have the value that means "not used".
fn check_features(raw: &RawConfig) -> Result<(), AdapterError> {
    if raw.peft_type != "LORA" {
        return Err(AdapterError::Unsupported(format!("peft_type {}", raw.peft_type)));
    }
    if raw.r == 0 || !(raw.lora_alpha.is_finite() && raw.lora_alpha > 0.0) {
        return Err(AdapterError::Config("r and lora_alpha must be positive".into()));
    }
    let unused = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text == "none",
        _ => false,
    };
    let features = [
        "bias",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "use_dora",
        "lora_bias",
        "trainable_token_indices",
        "use_qalora",
        "use_bdlora",
        "arrow_config",
        "kasa_config",
        "monteclora_config",
        "velora_config",
        "alora_invocation_tokens",
        "target_parameters",
        "layer_replication",
        "megatron_config",
    ];
    match features.iter().find(|name| raw.other.get(**name).is_some_and(|value| !unused(value))) {
        Some(name) => Err(AdapterError::Unsupported((*name).to_owned())),
        None => Ok(()),
    }
}

/// By layer and index of the module in [`Family::modules`].
type Pairs = BTreeMap<(usize, usize), Pair>;

#[derive(Default)]
struct Pair {
    a: Vec<f32>,
    b: Vec<f32>,
    /// Input and output width.
    widths: (usize, usize),
}

/// The pairs, and the family that has them.
fn read_matrices(bytes: &[u8], rank: usize) -> Result<(&'static Family, Pairs), AdapterError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| AdapterError::Weights(format!("{}; it may be truncated", Shown(&e.to_string()))))?;
    let names: Vec<MatrixName> = file.names().into_iter().map(MatrixName::parse).collect::<Result<_, _>>()?;
    let family = family_of(&names)?;
    let mut pairs = Pairs::new();
    for name in &names {
        let view = file.tensor(name.whole).map_err(|e| AdapterError::Weights(e.to_string()))?;
        let pair = pairs.entry((name.layer, name.module_in(family).unwrap_or_default())).or_default();
        let values = finite_f32(name.whole, &view).map_err(|e| AdapterError::Weights(e.to_string()))?;
        match (view.shape(), name.is_a) {
            (&[r, input], true) if r == rank => (pair.a, pair.widths.0) = (values, input),
            (&[output, r], false) if r == rank => (pair.b, pair.widths.1) = (values, output),
            (shape, _) => {
                let shape = format!("{shape:?}");
                let reason =
                    format!("{} has shape {}, which is not of rank {rank}", name.whole, Shown(&shape));
                return Err(AdapterError::Weights(reason));
            }
        }
    }
    let lonely = pairs.iter().find(|(_, pair)| pair.a.is_empty() || pair.b.is_empty());
    match lonely {
        Some(((layer, module), _)) => {
            let path = family.modules[*module];
            Err(AdapterError::Weights(format!("{path} of layer {layer} lacks its A or B")))
        }
        None if pairs.is_empty() => Err(AdapterError::Weights("it holds no matrices".into())),
        None => Ok((family, pairs)),
    }
}

/// The first family that has all these modules: where several have, their names and places are the same.
fn family_of(names: &[MatrixName<'_>]) -> Result<&'static Family, AdapterError> {
    FAMILIES
        .iter()
        .find(|family| names.iter().all(|name| name.module_in(family).is_some()))
        .ok_or_else(|| AdapterError::Weights("its matrices belong to different model families".into()))
}

/// `base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight`, taken apart.
struct MatrixName<'a> {
    whole: &'a str,
    block: &'static str,
    layer: usize,
    path: &'a str,
    is_a: bool,
}

impl<'a> MatrixName<'a> {
    fn parse(whole: &'a str) -> Result<Self, AdapterError> {
        let mut parsed = FAMILIES.iter().filter_map(|family| Self::of_family(whole, family));
        parsed.next().ok_or_else(|| {
            let mut known: Vec<&str> = FAMILIES.iter().flat_map(|family| family.modules).copied().collect();
            known.sort_unstable();
            known.dedup();
            let known = known.join(", ");
            AdapterError::Weights(format!(
                "{} is not a LoRA matrix of a block's map; supported: {known}",
                Shown(whole)
            ))
        })
    }

    fn of_family(whole: &'a str, family: &Family) -> Option<Self> {
        let rest = whole.strip_prefix(PEFT_PREFIX)?.strip_prefix(family.block)?.strip_prefix('.')?;
        let (rest, is_a) = match rest.strip_suffix(".lora_A.weight") {
            Some(rest) => (rest, true),
            None => (rest.strip_suffix(".lora_B.weight")?, false),
        };
        let (layer, path) = rest.split_once('.')?;
        // In its one spelling: `03` beside `3` would be two matrices of one place.
        let layer = layer.parse().ok().filter(|number: &usize| number.to_string() == layer)?;
        let name = Self { whole, block: family.block, layer, path, is_a };
        name.module_in(family).map(|_| name)
    }

    fn module_in(&self, family: &Family) -> Option<usize> {
        let module = family.modules.iter().position(|&path| path == self.path);
        module.filter(|_| family.block == self.block)
    }
}

#[cfg(test)]
#[path = "peft_tests.rs"]
mod tests;
