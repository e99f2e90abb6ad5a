//! `config.json` of every model family.

use finetune::MemoryEstimate;
use finetune::model::ModelConfig;
use finetune::{Privacy, TrainingConfig};
use perturb::language_model::LanguageModelConfig;
use serde_json::{Value, json};

use crate::check::shown;
use crate::fixtures::model_config;
use crate::input::{choice, merged};
use crate::memory::bounded;

/// What `architectures` may name.
pub const FAMILIES: [&str; 8] = ["Llama", "GPT2", "Mistral", "Qwen2", "Qwen3", "Gemma2", "Gemma3", "Phi3"];

/// The first byte chooses a family, whose configuration the JSON behind it is merged into.
pub fn run(input: &[u8]) {
    let (choice, patch) = choice(input);
    let file = merged(&base(FAMILIES[usize::from(choice) % FAMILIES.len()]), patch);
    bounded(file.len(), || shown(LanguageModelConfig::from_json(&file)));
    let Some(config) = bounded(file.len(), || shown(ModelConfig::from_json(&file))) else { return };
    assert_eq!(config.attention.len(), config.num_hidden_layers);
    assert!(config.num_attention_heads.is_multiple_of(config.num_key_value_heads));
    let positive = |value: &f64| value.is_finite() && *value > 0.0;
    assert!(config.ropes.iter().all(|rope| rope.inverse_frequencies.iter().all(positive)));
    let ropes = config.ropes.len();
    assert!(config.attention.iter().all(|kind| kind.rope.is_none_or(|rope| rope < ropes)));
    let training = TrainingConfig::new(Privacy::NonPrivate { batch_size: 1, steps: 1 });
    if let Some(estimate) = shown(MemoryEstimate::of(&config, &training)) {
        assert!(estimate.total() >= estimate.weights, "memory adds up");
    }
}

/// A configuration with every key that some family needs.
fn base(family: &str) -> Value {
    let mut config = model_config(300);
    let suffix = if family == "GPT2" { "LMHeadModel" } else { "ForCausalLM" };
    config["architectures"] = json!([format!("{family}{suffix}")]);
    for (key, value) in [("n_embd", 4), ("n_head", 2), ("n_layer", 1), ("n_positions", 16)] {
        config[key] = json!(value);
    }
    for (key, value) in [("head_dim", 2), ("query_pre_attn_scalar", 2), ("sliding_window", 8)] {
        config[key] = json!(value);
    }
    config
}
