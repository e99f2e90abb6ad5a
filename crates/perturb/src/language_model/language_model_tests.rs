use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::fixtures::TinyModel;
use super::*;

fn logits(model: &LanguageModel) -> Vec<f32> {
    model.advance(&mut [(&mut KeyValueCache::new(), &[1, 2, 3])]).unwrap().remove(0)
}

fn load(tiny: &TinyModel, weights: &[u8]) -> Result<LanguageModel, LanguageModelError> {
    LanguageModel::load(tiny.config.to_string().as_bytes(), weights)
}

#[test]
fn half_precision_is_read_as_its_rounded_values() {
    let tiny = TinyModel::new(40);
    for (dtype, round) in [
        (Dtype::BF16, (|v| half::bf16::from_f32(v).to_f32()) as fn(f32) -> f32),
        (Dtype::F16, |v| half::f16::from_f32(v).to_f32()),
    ] {
        let mut rounded = tiny.clone();
        for (_, values) in rounded.tensors.values_mut() {
            values.iter_mut().for_each(|value| *value = round(*value));
        }
        let found = logits(&load(&tiny, &tiny.weights(dtype)).unwrap());
        assert_eq!(found, logits(&rounded.load()));
        assert_ne!(found, logits(&tiny.load()));
    }
}

#[test]
fn a_tied_model_may_store_either_name_or_both() {
    let tied = TinyModel::new(40);
    let expected = logits(&tied.load());
    let mut head = tied.clone();
    let table = head.tensors.remove(EMBEDDINGS).unwrap();
    head.tensors.insert(HEAD.to_owned(), table.clone());
    assert_eq!(logits(&head.load()), expected);
    let mut both = head.clone();
    both.tensors.insert(EMBEDDINGS.to_owned(), table);
    assert_eq!(logits(&both.load()), expected);
    both.tensors.get_mut(HEAD).unwrap().1[7] += 1.0;
    assert_eq!(both.try_load().unwrap_err(), LanguageModelError::TiedDiffer);
}

#[test]
fn every_tensor_that_is_missing_misshapen_or_not_finite_is_named() {
    let tiny = TinyModel::with(40, &json!({"tie_word_embeddings": false}));
    for name in tiny.tensors.keys().cloned() {
        let mut broken = tiny.clone();
        broken.tensors.remove(&name);
        assert_eq!(broken.try_load().unwrap_err(), LanguageModelError::MissingTensor(name.clone()));
        let mut broken = tiny.clone();
        let (shape, values) = broken.tensors.get_mut(&name).unwrap();
        shape.insert(0, 1);
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let error = broken.try_load().unwrap_err();
        assert!(matches!(&error, LanguageModelError::Shape { name: found, .. } if *found == name), "{error}");
        let mut broken = tiny.clone();
        *broken.tensors.get_mut(&name).unwrap().1.last_mut().unwrap() = f32::NAN;
        assert_eq!(broken.try_load().unwrap_err(), LanguageModelError::NotFinite(name));
    }
}

#[test]
fn a_tensor_too_many_is_named_but_a_derived_buffer_is_not_minded() {
    let mut tiny = TinyModel::new(40);
    tiny.tensors.insert("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), (vec![1], vec![1.0]));
    tiny.load();
    let name = "model.layers.0.self_attn.q_norm.weight";
    tiny.tensors.insert(name.to_owned(), (vec![1], vec![1.0]));
    assert_eq!(tiny.try_load().unwrap_err(), LanguageModelError::UnknownTensor(name.to_owned()));
}

#[test]
fn integers_and_large_files_are_refused() {
    let tiny = TinyModel::new(40);
    let bytes = [0; 40 * 20 * 4];
    let view = TensorView::new(Dtype::I32, vec![40, 20], &bytes).unwrap();
    let integers = safetensors::serialize([(EMBEDDINGS, view)], None).unwrap();
    assert!(matches!(load(&tiny, &integers), Err(LanguageModelError::Format { .. })));
    let large = vec![0; MAX_WEIGHT_BYTES + 1];
    assert_eq!(
        load(&tiny, &large).unwrap_err(),
        LanguageModelError::TooLarge { bytes: MAX_WEIGHT_BYTES + 1 }
    );
    assert!(matches!(load(&tiny, &large[1..]), Err(LanguageModelError::Corrupt(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_files_never_panic_and_a_cut_is_always_seen(
        position: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index, header: bool,
    ) {
        let tiny = TinyModel::new(40);
        let weights = tiny.weights(Dtype::BF16);
        prop_assert!(load(&tiny, &weights[..cut.index(weights.len())]).is_err());
        let mut changed = weights.clone();
        // Half of the changes fall into the header, where the lengths are.
        changed[position.index(if header { 1500 } else { weights.len() })] ^= flip;
        if let Ok(model) = load(&tiny, &changed) {
            prop_assert_eq!(logits(&model).len(), 40);
        }
        let mut config = tiny.config.to_string().into_bytes();
        let place = position.index(config.len());
        config[place] ^= flip;
        let _ = LanguageModel::load(&config, &weights);
    }
}
