use super::*;
use crate::fixtures::{TinyModel, random, tokenizer_json};
use crate::lora::{ALL_LINEAR, LoraConfig, LoraLayout, LoraTensors};
use crate::model::BaseModel;
use serde_json::json;

const TOKENS: [u32; 6] = [0, 9, 120, 4, 299, 31];

fn adapter(tiny: &TinyModel) -> Adapter {
    // Alpha differs from rank, so that a forgotten scaling shows.
    let lora = LoraConfig { rank: 2, alpha: 7.0, target_modules: vec![ALL_LINEAR.into()], use_rslora: false };
    let layout = LoraLayout::new(&tiny.parsed(), &lora).unwrap();
    let parameters = random(5, layout.parameters(), 0.2);
    Adapter::new(lora, layout, parameters)
}

fn logits(model: &BaseModel, lora: Option<&LoraTensors>) -> Vec<f32> {
    let hidden = model.hidden_states(&TOKENS, &model.rope_table(8), lora, None).unwrap();
    crate::ops::read(&model.logits(&hidden).unwrap(), <[f32]>::to_vec).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn a_merged_model_equals_base_and_adapter() {
    for changes in [json!({}), json!({"tie_word_embeddings": false, "attention_bias": true})] {
        let tiny = TinyModel::with(&changes);
        let (base, adapter) = (tiny.load(), adapter(&tiny));
        let unmerged = logits(&base, Some(&adapter.tensors(&base).unwrap()));
        let merged = logits(&BaseModel::load(&merge(&tiny.files(), &adapter).unwrap()).unwrap(), None);
        assert!(largest_difference(&merged, &unmerged) < 1e-4);
        assert!(largest_difference(&merged, &logits(&base, None)) > 0.1, "the adapter must change something");
    }
}

#[test]
fn the_other_files_and_tensors_are_passed_on() {
    let tiny = TinyModel::new();
    let mut files = tiny.files();
    files.weights = vec![
        ("a.safetensors".into(), tiny.weights(|name| name.contains("layers.0")).into()),
        ("b.safetensors".into(), tiny.weights(|name| !name.contains("layers.0")).into()),
    ];
    let merged = merge(&files, &adapter(&tiny)).unwrap();
    assert_eq!((merged.config_json, merged.tokenizer_json), (files.config_json, tokenizer_json()));
    assert_eq!(merged.weights.len(), 1);
    let (before, after) =
        (tiny.files().weights.remove(0).1, open("model.safetensors", &merged.weights[0].1).unwrap());
    for (name, view) in open("model.safetensors", &before).unwrap().tensors() {
        let new = after.tensor(&name).unwrap();
        assert_eq!((view.shape(), view.dtype()), (new.shape(), new.dtype()));
        assert_eq!(view.data() != new.data(), name.contains("_proj"), "{name}");
    }
}

#[test]
fn a_half_precision_base_stays_half_precision() {
    let tiny = TinyModel { dtype: Dtype::BF16, ..TinyModel::new() };
    let (base, adapter) = (tiny.load(), adapter(&tiny));
    let files = merge(&tiny.files(), &adapter).unwrap();
    assert!(open("m", &files.weights[0].1).unwrap().tensors().iter().all(|(_, v)| v.dtype() == Dtype::BF16));
    let unmerged = logits(&base, Some(&adapter.tensors(&base).unwrap()));
    let merged = logits(&BaseModel::load(&files).unwrap(), None);
    let scale = unmerged.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest_difference(&merged, &unmerged) < 0.05 * scale, "within the rounding of bf16");
}

#[test]
fn an_adapter_that_does_not_fit_or_a_broken_base_is_refused() {
    let tiny = TinyModel::new();
    let smaller = TinyModel::with(&json!({"num_hidden_layers": 1}));
    assert!(matches!(merge(&smaller.files(), &adapter(&tiny)), Err(AdapterError::OtherModel { .. })));
    let mut broken = tiny.files();
    broken.weights[0].1 = broken.weights[0].1[..100].to_vec().into();
    assert!(matches!(merge(&broken, &adapter(&tiny)), Err(AdapterError::Model(_))));
}
