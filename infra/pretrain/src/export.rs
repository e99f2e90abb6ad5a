//! A Hugging Face model folder from a checkpoint, and back.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use half::bf16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::checkpoint::Checkpoint;
use crate::config::{Layout, ModelConfig};
use crate::tokenizer::{self, END_OF_TEXT_ID};

/// The model card, with placeholders for the run's figures.
const MODEL_CARD: &str = include_str!("model_card.md");

/// A weight's name, shape and place in the flat vector.
struct Weight {
    name: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// Every weight under Hugging Face's name. Stacked matrices are split by rows; the head is tied and has no entry.
fn weights(config: &ModelConfig, layout: &Layout) -> Vec<Weight> {
    let (hidden, kv, inner) = (config.hidden_size, config.kv_dim(), config.intermediate_size);
    let mut all = vec![
        Weight {
            name: "model.embed_tokens.weight".into(),
            shape: vec![config.vocab_size, hidden],
            range: layout.embedding.clone(),
        },
        Weight { name: "model.norm.weight".into(), shape: vec![hidden], range: layout.final_norm.clone() },
    ];
    for (index, layer) in layout.layers.iter().enumerate() {
        let mut add = |name: &str, shape: Vec<usize>, start: usize| {
            let range = start..start + shape.iter().product::<usize>();
            all.push(Weight { name: format!("model.layers.{index}.{name}.weight"), shape, range });
        };
        let (qkv, gate_up) = (layer.qkv.start, layer.gate_up.start);
        add("input_layernorm", vec![hidden], layer.input_norm.start);
        add("self_attn.q_proj", vec![hidden, hidden], qkv);
        add("self_attn.k_proj", vec![kv, hidden], qkv + hidden * hidden);
        add("self_attn.v_proj", vec![kv, hidden], qkv + (hidden + kv) * hidden);
        add("self_attn.o_proj", vec![hidden, hidden], layer.output.start);
        add("post_attention_layernorm", vec![hidden], layer.post_norm.start);
        add("mlp.gate_proj", vec![inner, hidden], gate_up);
        add("mlp.up_proj", vec![inner, hidden], gate_up + inner * hidden);
        add("mlp.down_proj", vec![hidden, inner], layer.down.start);
    }
    all
}

/// Writes `config.json`, `generation_config.json`, `model.safetensors`, the tokenizer's files and the model card.
pub(crate) fn export(
    config: &ModelConfig,
    checkpoint: &Checkpoint,
    tokenizer: &Tokenizer,
    folder: &Path,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write_json(&folder.join("config.json"), &hugging_face_config(config))?;
    let generation = json!({
        "bos_token_id": END_OF_TEXT_ID, "eos_token_id": END_OF_TEXT_ID, "pad_token_id": END_OF_TEXT_ID,
        "do_sample": true, "temperature": 0.8, "top_k": 40,
    });
    write_json(&folder.join("generation_config.json"), &generation)?;
    tokenizer::save(tokenizer, folder, config.max_position_embeddings)?;
    let temporary = folder.join("model.safetensors.new");
    fs::write(&temporary, to_safetensors(config, &checkpoint.weights)?)?;
    fs::rename(&temporary, folder.join("model.safetensors"))?;
    fs::write(folder.join("README.md"), model_card(config, checkpoint))?;
    Ok(())
}

fn hugging_face_config(config: &ModelConfig) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim(),
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rope_scaling": null,
        "rms_norm_eps": shortest(config.rms_norm_eps),
        "hidden_act": "silu",
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "initializer_range": 0.02,
        "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
        "use_cache": true,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
        "pad_token_id": null,
    })
}

/// The f64 with the f32's shortest decimal form, so that 1e-5 is not written 9.999999747378752e-6.
fn shortest(value: f32) -> f64 {
    // An f32's decimal form is always a valid f64.
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// The weights as a safetensors file in bf16.
fn to_safetensors(config: &ModelConfig, flat: &[f32]) -> Result<Vec<u8>> {
    let all = weights(config, &Layout::new(config));
    let to_bytes = |values: &[f32]| values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    let bytes: Vec<Vec<u8>> = all.iter().map(|w| to_bytes(&flat[w.range.clone()])).collect();
    let mut views = Vec::new();
    for (weight, bytes) in all.iter().zip(&bytes) {
        views.push((weight.name.as_str(), TensorView::new(Dtype::BF16, weight.shape.clone(), bytes)?));
    }
    // Hugging Face's loader refuses a file that does not say which framework's layout it has.
    Ok(serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())])))?)
}

/// Reads the flat weights of an exported folder.
pub(crate) fn load(config: &ModelConfig, folder: &Path) -> Result<Vec<f32>> {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let layout = Layout::new(config);
    let mut flat = vec![0.0; layout.total];
    for weight in weights(config, &layout) {
        let tensor = tensors.tensor(&weight.name)?;
        ensure!(tensor.dtype() == Dtype::BF16, "{} is {:?}, expected BF16", weight.name, tensor.dtype());
        ensure!(tensor.shape() == weight.shape, "{} has shape {:?}", weight.name, tensor.shape());
        let values = tensor.data().as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32());
        flat[weight.range].iter_mut().zip(values).for_each(|(to, from)| *to = from);
    }
    Ok(flat)
}

fn model_card(config: &ModelConfig, checkpoint: &Checkpoint) -> String {
    let progress = &checkpoint.progress;
    let millions = |count: f64| format!("{:.2}", count / 1e6);
    let epochs = progress.tokens as f64 / progress.epoch_tokens.max(1) as f64;
    let figures = [
        ("{parameters}", millions(Layout::new(config).total as f64)),
        ("{tokens}", millions(progress.tokens as f64)),
        ("{epochs}", format!("{epochs:.1}")),
        ("{minutes}", format!("{:.0}", progress.seconds / 60.0)),
        ("{loss}", format!("{:.3}", progress.held_out_loss)),
        ("{perplexity}", format!("{:.1}", progress.held_out_loss.exp())),
        ("{bits}", format!("{:.3}", progress.bits_per_byte)),
    ];
    figures.iter().fold(MODEL_CARD.to_owned(), |card, (name, value)| card.replace(name, value))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, serde_json::to_string_pretty(value)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
