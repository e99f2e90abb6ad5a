//! Trained adapters: their files in PEFT's format, and merging them into the base model.

mod merge;
mod peft;

use crate::lora::{LoraConfig, LoraLayout, LoraTensors};
use crate::model::{BaseModel, ModelError};

pub use merge::merge;
pub use peft::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};

/// A LoRA adapter: its configuration and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    lora: LoraConfig,
    layout: LoraLayout,
    /// Flat, in layout order.
    parameters: Vec<f32>,
}

/// An adapter that cannot be read or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// One of the two files is not among those given.
    #[error("{0} is missing from the adapter")]
    MissingFile(&'static str),
    /// `adapter_config.json` is not what PEFT writes for LoRA.
    #[error("adapter_config.json cannot be used: {0}")]
    Config(String),
    /// A PEFT feature that changes the computation and is not implemented.
    #[error("this adapter uses {0}, which is not supported; supported: plain LoRA on linear maps")]
    Unsupported(String),
    /// `adapter_model.safetensors` is not what the configuration says.
    #[error("adapter_model.safetensors cannot be used: {0}")]
    Weights(String),
    /// The adapter was made for a model of another shape.
    #[error(
        "the adapter does not fit the model: {module} of layer {layer} is {found}, the model's is {expected}"
    )]
    OtherModel {
        /// Name of the linear map.
        module: &'static str,
        /// Index of the block.
        layer: usize,
        /// Widths in the adapter.
        found: String,
        /// Widths in the model.
        expected: String,
    },
    /// The base model's files cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Adapter {
    pub(crate) fn new(lora: LoraConfig, layout: LoraLayout, parameters: Vec<f32>) -> Self {
        debug_assert_eq!(layout.parameters(), parameters.len());
        Self { lora, layout, parameters }
    }

    /// Rank, alpha and target modules.
    pub fn config(&self) -> &LoraConfig {
        &self.lora
    }

    /// Where each matrix lies in [`parameters`](Self::parameters).
    pub fn layout(&self) -> &LoraLayout {
        &self.layout
    }

    /// All values, flat.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// The adapter as tensors for the forward pass of `model`.
    pub(crate) fn tensors(&self, model: &BaseModel) -> Result<LoraTensors, AdapterError> {
        let config = model.config();
        for entry in self.layout.entries() {
            let expected = entry.module.dimensions(config);
            if (entry.input, entry.output) != expected || entry.layer >= config.num_hidden_layers {
                let expected = match entry.layer < config.num_hidden_layers {
                    true => format!("{} → {}", expected.0, expected.1),
                    false => "absent".to_owned(),
                };
                return Err(AdapterError::OtherModel {
                    module: entry.module.name(),
                    layer: entry.layer,
                    found: format!("{} → {}", entry.input, entry.output),
                    expected,
                });
            }
        }
        Ok(LoraTensors::constants(&self.layout, self.lora.scaling(), &self.parameters)?)
    }
}
