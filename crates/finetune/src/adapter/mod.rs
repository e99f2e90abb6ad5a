//! Trained adapters: their files in PEFT's format, and merging them into the base model.

mod merge;
mod peft;

use perturb::Shown;

use crate::lora::{LoraConfig, LoraLayout, LoraTensors};
use crate::model::{BaseModel, ModelConfig, ModelError};

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
    #[error("adapter_config.json cannot be used: {}", Shown(.0))]
    Config(String),
    /// A PEFT feature that changes the computation and is not implemented.
    #[error("this adapter uses {}, which is not supported; supported: plain LoRA on linear maps", Shown(.0))]
    Unsupported(String),
    /// `adapter_model.safetensors` is not what the configuration says.
    #[error("adapter_model.safetensors cannot be used: {0}")]
    Weights(String),
    /// The adapter was made for a model of another shape.
    #[error("the adapter does not fit the model: {module} is {found}, the model's is {expected}")]
    OtherModel {
        /// Path of the linear map.
        module: String,
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

    /// The layout of [`parameters`](Self::parameters) by the modules of `model`.
    ///
    /// # Errors
    /// [`AdapterError::OtherModel`] if the adapter was made for a model of another shape.
    pub fn layout_on(&self, model: &ModelConfig) -> Result<LoraLayout, AdapterError> {
        self.layout.on(model).map_err(|(entry, expected)| AdapterError::OtherModel {
            module: self.layout.path(&entry),
            found: format!("{} → {}", entry.input, entry.output),
            expected: expected.map_or("absent".to_owned(), |(input, output)| format!("{input} → {output}")),
        })
    }

    /// The adapter as tensors for the forward pass of `model`.
    pub(crate) fn tensors(&self, model: &BaseModel) -> Result<LoraTensors, AdapterError> {
        let layout = self.layout_on(model.config())?;
        Ok(LoraTensors::constants(&layout, self.lora.scaling(), &self.parameters)?)
    }
}
