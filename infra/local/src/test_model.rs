//! A model folder made in code: one layer of width 8 over single bytes. It can be trained in milliseconds and says nothing sensible.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const HIDDEN: usize = 8;
const INNER: usize = 16;
/// 256 bytes and one token that ends a text.
const VOCABULARY: usize = 257;

/// Writes the model's folder.
pub fn write_model(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "bos_token_id": 256, "eos_token_id": 256,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    std::fs::write(folder.join("model.safetensors"), weights()).unwrap();
}

/// GPT-2's spelling of bytes: printable ones as they are, the others moved behind U+0100 in order.
fn byte_letters() -> Vec<char> {
    let printable =
        |byte: u32| (33..=126).contains(&byte) || (161..=172).contains(&byte) || (174..=255).contains(&byte);
    let mut moved = 256;
    let letter = |byte: u32| {
        if printable(byte) {
            return byte;
        }
        moved += 1;
        moved - 1
    };
    (0..256).map(letter).map(|code| char::from_u32(code).unwrap()).collect()
}

fn tokenizer() -> serde_json::Value {
    let mut vocabulary: BTreeMap<String, usize> =
        byte_letters().into_iter().enumerate().map(|(id, letter)| (letter.to_string(), id)).collect();
    vocabulary.insert("<|endoftext|>".into(), 256);
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{
            "id": 256, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [],
        },
    })
}

fn weights() -> Vec<u8> {
    let layer = |part: &str| format!("model.layers.0.{part}.weight");
    let shapes = [
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
        (layer("input_layernorm"), vec![HIDDEN]),
        (layer("post_attention_layernorm"), vec![HIDDEN]),
        (layer("self_attn.q_proj"), vec![HIDDEN, HIDDEN]),
        (layer("self_attn.k_proj"), vec![HIDDEN / 2, HIDDEN]),
        (layer("self_attn.v_proj"), vec![HIDDEN / 2, HIDDEN]),
        (layer("self_attn.o_proj"), vec![HIDDEN, HIDDEN]),
        (layer("mlp.gate_proj"), vec![INNER, HIDDEN]),
        (layer("mlp.up_proj"), vec![INNER, HIDDEN]),
        (layer("mlp.down_proj"), vec![HIDDEN, INNER]),
    ];
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .enumerate()
        .map(|(seed, (name, shape))| {
            let count = shape.iter().product();
            (name, shape, values(seed, count))
        })
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

/// Small numbers without a pattern that training could trip over.
fn values(seed: usize, count: usize) -> Vec<u8> {
    let value =
        |i: usize| (((i + 31 * seed) as f32) * 1.7).sin() * 0.3 + if count == HIDDEN { 1.0 } else { 0.0 };
    (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
}
