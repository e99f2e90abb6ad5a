//! A tiny random Llama, made by code.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::{LanguageModel, LanguageModelError};

#[derive(Clone)]
pub(crate) struct TinyModel {
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Uniform in ±bound.
pub(crate) fn random(seed: u64, count: usize, bound: f32) -> Vec<f32> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..count).map(|_| bound * (rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0)).collect()
}

impl TinyModel {
    /// Width 20 (no multiple of the kernels' lanes), 2 blocks, 4 query heads over 2, tied.
    pub(crate) fn new(vocab_size: usize) -> Self {
        Self::with(vocab_size, &json!({}))
    }

    pub(crate) fn with(vocab_size: usize, changes: &Value) -> Self {
        let mut config = json!({
            "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "vocab_size": vocab_size, "hidden_size": 20,
            "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 6, "max_position_embeddings": 24, "rms_norm_eps": 1e-5, "rope_theta": 100.0,
            "rope_scaling": null, "tie_word_embeddings": true, "attention_bias": false, "bos_token_id": 0
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let mut model = Self { config, tensors: BTreeMap::new() };
        model.add("model.embed_tokens.weight", &[vocab_size, 20]);
        model.add("model.norm.weight", &[20]);
        if model.config["tie_word_embeddings"] == false {
            model.add("lm_head.weight", &[vocab_size, 20]);
        }
        for layer in 0..2 {
            for (part, shape) in [
                ("input_layernorm", &[20][..]),
                ("post_attention_layernorm", &[20]),
                ("self_attn.q_proj", &[24, 20]),
                ("self_attn.k_proj", &[12, 20]),
                ("self_attn.v_proj", &[12, 20]),
                ("self_attn.o_proj", &[20, 24]),
                ("mlp.gate_proj", &[36, 20]),
                ("mlp.up_proj", &[36, 20]),
                ("mlp.down_proj", &[20, 36]),
            ] {
                model.add(&format!("model.layers.{layer}.{part}.weight"), shape);
            }
        }
        model
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        let values = random(self.tensors.len() as u64, shape.iter().product(), 0.8);
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values));
    }

    pub(crate) fn weights(&self, dtype: Dtype) -> Vec<u8> {
        let bytes = |values: &[f32]| -> Vec<u8> {
            match dtype {
                Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
                Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
                _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        };
        let stored: Vec<(&String, &Vec<usize>, Vec<u8>)> =
            self.tensors.iter().map(|(name, (shape, values))| (name, shape, bytes(values))).collect();
        let views = stored.iter().map(|(name, shape, bytes)| {
            (name.as_str(), TensorView::new(dtype, shape.to_vec(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    pub(crate) fn try_load(&self) -> Result<LanguageModel, LanguageModelError> {
        LanguageModel::load(self.config.to_string().as_bytes(), &self.weights(Dtype::F32))
    }

    pub(crate) fn load(&self) -> LanguageModel {
        self.try_load().unwrap()
    }
}
