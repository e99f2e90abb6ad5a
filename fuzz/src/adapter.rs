//! An adapter as PEFT writes it.

use finetune::Adapter;
use finetune::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use serde_json::Value;

use crate::check::shown;
use crate::input::{merged, parts, safetensors};
use crate::memory::bounded;

/// The input is JSON that is merged into `adapter_config.json`, the header of the weights and their data.
pub fn run(input: &[u8]) {
    let [patch, header, data] = parts(input);
    let base = serde_json::json!({"peft_type": "LORA", "r": 1, "lora_alpha": 2});
    let config = merged(&base, patch);
    let weights = safetensors(header, data);
    let length = config.len() + weights.len();
    let files = [(ADAPTER_CONFIG_FILE.to_owned(), config), (ADAPTER_WEIGHTS_FILE.to_owned(), weights)];
    let Some(adapter) = bounded(length, || shown(Adapter::from_files(&files))) else { return };
    let tensors = serde_json::from_slice::<Value>(header)
        .ok()
        .and_then(|header| Some(header.as_object()?.keys().filter(|key| *key != "__metadata__").count()));
    let pairs = adapter.layout().entries().len();
    assert_eq!(tensors, Some(2 * pairs), "every matrix that was read is in the adapter, once");
    assert!(adapter.parameters().iter().all(|value| value.is_finite()));
    assert!(adapter.config().scaling() > 0.0, "an adapter has a scale");
    let again = Adapter::from_files(&adapter.to_files("base"));
    assert_eq!(again.expect("what was written is read"), adapter);
}
