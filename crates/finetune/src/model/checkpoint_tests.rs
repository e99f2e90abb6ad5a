use serde_json::json;

use super::*;
use crate::fixtures::TinyModel;
use crate::fixtures::families::goldens;

fn stored(tiny: &TinyModel, name: &str) -> Vec<f32> {
    tiny.tensors[name].1.clone()
}

#[test]
fn a_stage_holds_its_modules_side_by_side() {
    let tiny = TinyModel::with(&json!({"attention_bias": true, "tie_word_embeddings": false}));
    let files = tiny.files();
    let checkpoint = Checkpoint::open(&files).unwrap();
    let [qkv, out, up, down] = checkpoint.block(1).unwrap().stages;
    let part = |name: &str| stored(&tiny, &format!("model.layers.1.{name}"));
    let joined = |parts: &[&str]| parts.iter().flat_map(|name| part(name)).collect::<Vec<f32>>();
    let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
    assert_eq!(qkv.weight, joined(&attention.map(|n| format!("{n}.weight")).each_ref().map(String::as_str)));
    let biases = attention.map(|n| format!("{n}.bias"));
    assert_eq!(qkv.bias.unwrap(), joined(&biases.each_ref().map(String::as_str)));
    assert_eq!(out.bias.unwrap(), part("self_attn.o_proj.bias"));
    assert_eq!(up.weight, joined(&["mlp.gate_proj.weight", "mlp.up_proj.weight"]));
    assert_eq!((down.weight, down.bias), (part("mlp.down_proj.weight"), None));
    assert_eq!(checkpoint.head().unwrap().unwrap(), stored(&tiny, "lm_head.weight"));
    assert_eq!(checkpoint.positions().unwrap(), None);
}

#[test]
fn weights_that_are_stored_transposed_are_turned() {
    let golden = goldens().into_iter().find(|golden| golden.name == "gpt2").unwrap();
    let (files, tiny) = (golden.files(), golden.tiny());
    let checkpoint = Checkpoint::open(&files).unwrap();
    let [qkv, ..] = checkpoint.block(0).unwrap().stages;
    let (shape, values) = &tiny.tensors["h.0.attn.c_attn.weight"];
    let (input, output) = (shape[0], shape[1]);
    for (o, i) in [(0, 0), (1, 0), (0, 1), (output - 1, input - 1), (7, 5)] {
        assert_eq!(qkv.weight[o * input + i], values[i * output + o]);
    }
    assert_eq!(checkpoint.positions().unwrap().unwrap(), stored(&tiny, "wpe.weight"));
}

#[test]
fn a_gain_that_is_stored_less_one_is_whole() {
    let golden = goldens().into_iter().find(|golden| golden.name == "gemma2").unwrap();
    let (files, tiny) = (golden.files(), golden.tiny());
    let norm = Checkpoint::open(&files).unwrap().final_norm().unwrap();
    let expected: Vec<f32> = stored(&tiny, "model.norm.weight").iter().map(|gain| 1.0 + gain).collect();
    assert_eq!((norm.gain, norm.bias), (expected, None));
}

#[test]
fn names_may_be_with_or_without_that_of_the_whole() {
    let golden = goldens().into_iter().find(|golden| golden.name == "gpt2").unwrap();
    let bare = golden.tiny();
    assert!(bare.tensors.contains_key("wte.weight"), "the published file has no prefix");
    let mut full = bare.clone();
    full.tensors = bare.tensors.iter().map(|(n, t)| (format!("transformer.{n}"), t.clone())).collect();
    let embeddings = |tiny: &TinyModel| Checkpoint::open(&tiny.files()).unwrap().embeddings().unwrap();
    assert_eq!(embeddings(&bare), embeddings(&full));
    // One name in each way is a damaged file.
    let table = full.tensors.remove("transformer.wte.weight").unwrap();
    full.tensors.insert("wte.weight".into(), table);
    let error = Checkpoint::open(&full.files()).err().unwrap();
    let missing = "transformer.wte.weight";
    assert!(matches!(&error, ModelError::MissingTensor { name } if name == missing), "{error}");
}
