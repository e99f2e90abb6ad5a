use super::*;
use crate::fixtures::naive::Naive;
use crate::fixtures::{TinyModel, random_records};
use crate::lora::{ALL_LINEAR, LoraConfig, LoraLayout};

#[test]
fn the_loss_is_the_mean_over_tokens_and_the_same_for_every_number_of_threads() {
    let tiny = TinyModel::new();
    let (model, records) = (tiny.load(), random_records(6, 10));
    let naive = Naive { model: &tiny, config: tiny.parsed(), lora: None };
    let tokens: usize = records.iter().map(|r| r.predicted_tokens()).sum();
    let sum: f64 = records.iter().map(|r| naive.record_loss(r.chunks()) * r.predicted_tokens() as f64).sum();
    let found = evaluate(&model, None, &records, 1).unwrap();
    assert_eq!(found.tokens, tokens);
    assert!((found.loss - sum / tokens as f64).abs() < 1e-4, "{found:?} {}", sum / tokens as f64);
    assert_eq!(found.perplexity, found.loss.exp());
    assert_eq!(found, evaluate(&model, None, &records, 3).unwrap());
}

#[test]
fn only_targets_that_count_are_evaluated() {
    let tiny = TinyModel::new();
    let sequence =
        |flags: [bool; 6]| crate::records::Sequence::rendered(vec![5, 9, 200, 31, 77, 2], flags.to_vec());
    let sequences = [sequence([false, false, true, true, false, true]), sequence([false; 6])];
    let records = Records::from_labelled(&sequences, &crate::fixtures::options(16, 4)).unwrap();
    let naive = Naive { model: &tiny, config: tiny.parsed(), lora: None };
    let expected = naive.record_loss(records.get(0).chunks());
    let found = evaluate(&tiny.load(), None, &records, 2).unwrap();
    assert_eq!(found.tokens, 3, "the second record has none");
    assert!((found.loss - expected).abs() < 1e-4, "{found:?} {expected}");
}

#[test]
fn a_new_adapter_changes_nothing_and_a_wrong_one_is_refused() {
    let tiny = TinyModel::new();
    let (model, records) = (tiny.load(), random_records(3, 10));
    let lora = LoraConfig { rank: 2, alpha: 3.0, target_modules: vec![ALL_LINEAR.into()], use_rslora: false };
    let layout = LoraLayout::new(&tiny.parsed(), &lora).unwrap();
    let values = vec![0.0; layout.parameters()];
    let adapter = Adapter::new(lora, layout, values);
    assert_eq!(
        evaluate(&model, Some(&adapter), &records, 1).unwrap(),
        evaluate(&model, None, &records, 1).unwrap()
    );
    let other = TinyModel::with(&serde_json::json!({"num_hidden_layers": 1})).load();
    assert!(matches!(evaluate(&other, Some(&adapter), &records, 1), Err(AdapterError::OtherModel { .. })));
}

#[test]
fn a_record_longer_than_the_model_is_refused() {
    let model = TinyModel::with(&serde_json::json!({"max_position_embeddings": 4})).load();
    assert!(matches!(evaluate(&model, None, &random_records(5, 16), 2), Err(AdapterError::Model(_))));
}
