use serde_json::json;

use super::*;
use crate::fixtures::naive::Naive;
use crate::fixtures::{TinyModel, random};
use safetensors::tensor::Dtype;

const EMBEDDINGS: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";
const TOKENS: [u32; 11] = [0, 17, 298, 3, 3, 120, 45, 7, 299, 1, 64];

fn logits(model: &BaseModel, tokens: &[u32]) -> Vec<f32> {
    let hidden = model.hidden_states(tokens, &model.rope_table(64), None, None).unwrap();
    crate::ops::read(&model.logits(&hidden).unwrap(), <[f32]>::to_vec).unwrap()
}

fn assert_equals_naive(tiny: &TinyModel) {
    let naive = Naive { model: tiny, config: tiny.parsed(), lora: None };
    let expected: Vec<f64> = naive.logits(&TOKENS).concat();
    let found = logits(&tiny.load(), &TOKENS);
    assert_eq!(expected.len(), found.len());
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(largest > 1.0, "logits near zero would hide differences");
    for (e, f) in expected.iter().zip(&found) {
        assert!((e - f64::from(*f)).abs() < 2e-5 * largest, "{e} against {f}");
    }
}

#[test]
fn logits_equal_a_naive_forward() {
    assert_equals_naive(&TinyModel::new());
}

#[test]
fn logits_equal_a_naive_forward_untied_with_bias_and_one_head_each() {
    assert_equals_naive(&TinyModel::with(
        &json!({"tie_word_embeddings": false, "attention_bias": true, "num_key_value_heads": 4}),
    ));
}

#[test]
fn logits_equal_a_naive_forward_with_its_own_head_width() {
    assert_equals_naive(&TinyModel::with(&json!({"head_dim": 6, "num_key_value_heads": 1})));
}

#[test]
fn logits_equal_a_naive_forward_with_llama3_rotary_scaling() {
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32});
    let stretched = TinyModel::with(&json!({"rope_scaling": scaling}));
    assert_equals_naive(&stretched);
    assert_ne!(logits(&stretched.load(), &TOKENS), logits(&TinyModel::new().load(), &TOKENS));
}

#[test]
fn a_cache_gives_the_logits_of_the_whole_sequence() {
    let model = TinyModel::new().load();
    let whole = logits(&model, &TOKENS);
    let table = model.rope_table(64);
    let mut cache = KeyValueCache::new(&model);
    let mut pieces = Vec::new();
    for part in [&TOKENS[..4], &TOKENS[4..5], &TOKENS[5..]] {
        let hidden = model.hidden_states(part, &table, None, Some(&mut cache)).unwrap();
        pieces.extend(crate::ops::read(&model.logits(&hidden).unwrap(), <[f32]>::to_vec).unwrap());
    }
    assert_eq!(whole.len(), pieces.len());
    for (a, b) in whole.iter().zip(&pieces) {
        assert!((a - b).abs() < 1e-4, "{a} against {b}");
    }
}

#[test]
fn half_precision_weights_load_as_their_rounded_values() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        let half = TinyModel { dtype, ..TinyModel::new() };
        let mut rounded = TinyModel::new();
        for (_, values) in rounded.tensors.values_mut() {
            for v in values {
                *v = match dtype {
                    Dtype::F16 => half::f16::from_f32(*v).to_f32(),
                    _ => half::bf16::from_f32(*v).to_f32(),
                };
            }
        }
        assert_eq!(logits(&half.load(), &TOKENS), logits(&rounded.load(), &TOKENS));
    }
}

#[test]
fn a_tied_model_may_store_either_name_or_both() {
    let tied = TinyModel::new();
    let expected = logits(&tied.load(), &TOKENS);
    let mut head_only = tied.clone();
    let table = head_only.tensors.remove(EMBEDDINGS).unwrap();
    head_only.tensors.insert(HEAD.into(), table.clone());
    assert_eq!(logits(&head_only.load(), &TOKENS), expected);
    let mut both = head_only.clone();
    both.tensors.insert(EMBEDDINGS.into(), table);
    assert_eq!(logits(&both.load(), &TOKENS), expected);

    both.tensors.get_mut(HEAD).unwrap().1[5] += 1.0;
    let error = BaseModel::load(&both.files()).err().unwrap().to_string();
    assert!(error.contains("differ"), "{error}");
}

#[test]
fn an_untied_model_needs_both_tables() {
    for name in [EMBEDDINGS, HEAD] {
        let mut model = TinyModel::with(&json!({"tie_word_embeddings": false}));
        model.tensors.remove(name);
        let error = BaseModel::load(&model.files()).err().unwrap();
        assert!(matches!(&error, ModelError::MissingTensor { name: n } if n == name), "{error}");
    }
}

#[test]
fn every_missing_tensor_is_named() {
    let tiny = TinyModel::new();
    for name in tiny.tensors.keys() {
        let mut broken = tiny.clone();
        broken.tensors.remove(name);
        let error = BaseModel::load(&broken.files()).err().unwrap();
        assert!(matches!(&error, ModelError::MissingTensor { name: n } if n == name), "{name}: {error}");
    }
}

#[test]
fn every_misshapen_tensor_is_named() {
    let tiny = TinyModel::new();
    for name in tiny.tensors.keys() {
        let mut broken = tiny.clone();
        let (shape, values) = broken.tensors.get_mut(name).unwrap();
        shape[0] += 1;
        *values = random(1, shape.iter().product(), 1.0);
        let error = BaseModel::load(&broken.files()).err().unwrap();
        assert!(matches!(&error, ModelError::WrongShape { name: n, .. } if n == name), "{name}: {error}");
    }
}

#[test]
fn every_value_that_is_not_finite_is_named() {
    let tiny = TinyModel::new();
    for (index, name) in tiny.tensors.keys().enumerate() {
        let mut broken = tiny.clone();
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][index % 3];
        *broken.tensors.get_mut(name).unwrap().1.last_mut().unwrap() = bad;
        let error = BaseModel::load(&broken.files()).err().unwrap();
        assert!(matches!(&error, ModelError::NotFinite { name: n } if n == name), "{name}: {error}");
    }
}

#[test]
fn an_unknown_tensor_is_named_but_derived_buffers_are_not_minded() {
    let mut model = TinyModel::new();
    let buffer = "model.layers.0.self_attn.rotary_emb.inv_freq";
    model.tensors.insert(buffer.into(), (vec![4], random(1, 4, 1.0)));
    BaseModel::load(&model.files()).unwrap();
    model.tensors.insert("model.layers.0.self_attn.q_norm.weight".into(), (vec![8], random(1, 8, 1.0)));
    let error = BaseModel::load(&model.files()).err().unwrap().to_string();
    assert!(error.contains("q_norm"), "{error}");
}

#[test]
fn truncated_weights_are_refused_wherever_they_end() {
    let files = TinyModel::new().files();
    let length = files.weights[0].1.len();
    for cut in [0, 7, 8, 100, length / 2, length - 1] {
        let mut broken = files.clone();
        broken.weights[0].1 = broken.weights[0].1[..cut].to_vec().into();
        let error = BaseModel::load(&broken).err().unwrap();
        assert!(matches!(error, ModelError::CorruptWeights { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn integer_weights_and_duplicates_are_refused() {
    let tiny = TinyModel::new();
    let mut files = tiny.files();
    files
        .weights
        .push(("second.safetensors".into(), tiny.weights(|name| name == "model.norm.weight").into()));
    assert!(matches!(BaseModel::load(&files), Err(ModelError::DuplicateTensor { .. })));

    let bytes = vec![0; 32 * 4];
    let view = safetensors::tensor::TensorView::new(Dtype::I32, vec![32], &bytes).unwrap();
    files.weights = vec![
        ("a".into(), tiny.weights(|name| name != "model.norm.weight").into()),
        ("b".into(), safetensors::serialize([("model.norm.weight", view)], None).unwrap().into()),
    ];
    assert!(matches!(BaseModel::load(&files), Err(ModelError::UnsupportedDtype { .. })));
}

#[test]
fn a_sequence_beyond_the_rotary_table_is_refused() {
    let model = TinyModel::new().load();
    let error = model.hidden_states(&TOKENS, &model.rope_table(10), None, None).unwrap_err();
    assert!(matches!(error, ModelError::SequenceTooLong { length: 11, limit: 10 }));
}

#[test]
fn the_embeddings_are_the_stored_table_and_the_hash_follows_every_file() {
    let tiny = TinyModel::new();
    let model = tiny.load();
    assert_eq!(model.input_embeddings().unwrap(), (tiny.tensors[EMBEDDINGS].1.clone(), 32));
    assert_eq!(model.sha256(), tiny.load().sha256());
    assert_eq!(model.sha256().len(), 64);
    let mut other = tiny.clone();
    other.tensors.get_mut("model.norm.weight").unwrap().1[0] += 1e-3;
    assert_ne!(model.sha256(), other.load().sha256());
    assert_ne!(model.sha256(), TinyModel::with(&json!({"rms_norm_eps": 1e-4})).load().sha256());
}
