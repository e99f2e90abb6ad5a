use super::*;
use crate::language_model::fixtures::TinyModel;
use crate::language_model::{KeyValueCache, LanguageModelError, log_softmax};
use crate::test_fixtures::tokenizer;

const WORDS: [&str; 5] = ["hello", "he", "w", "hells", "or"];

fn model() -> Arc<LanguageModel> {
    Arc::new(TinyModel::new(264).load())
}

/// Σ ln p of `tokens` after `before`, a forward pass for each.
fn expected(model: &LanguageModel, before: &[u32], tokens: &[u32]) -> f64 {
    let place = |count: usize| [before, &tokens[..count]].concat();
    let of = |count: usize| {
        let mut logits = model.advance(&mut [(&mut KeyValueCache::new(), &place(count))]).unwrap().remove(0);
        log_softmax(&mut logits);
        f64::from(logits[tokens[count] as usize])
    };
    (0..tokens.len()).map(of).sum()
}

#[test]
fn a_words_score_is_that_of_its_tokens() {
    let (model, tokenizer) = (model(), tokenizer());
    let mut context = WordContext::new(model.clone(), &tokenizer, &WORDS).unwrap();
    let spelled: Vec<Vec<u32>> =
        WORDS.iter().map(|word| tokenizer.encode(&format!(" {word}")).unwrap()).collect();
    // Words of one token, of several, and with a common beginning: all ways through the levels.
    let lengths: Vec<usize> = spelled.iter().map(Vec::len).collect();
    assert!(lengths.contains(&1) && lengths.iter().max() > Some(&2), "{lengths:?}");
    let start = context.start().unwrap();
    let states = context.extend(&[(&start, 3), (&start, 2)]).unwrap();
    let scores = context.log_probabilities(&[&states[0], &start, &states[1]], &[4, 0, 2, 3, 1]).unwrap();
    let before = [[&[0], spelled[3].as_slice()].concat(), vec![0], [&[0], spelled[2].as_slice()].concat()];
    let expected: Vec<f64> = before
        .iter()
        .flat_map(|before| [4, 0, 2, 3, 1].map(|word: usize| expected(&model, before, &spelled[word])))
        .collect();
    assert!(scores.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{scores:?} {expected:?}");
    assert_eq!(context.items(), 5);
}

#[test]
fn a_tokenizer_beyond_the_model_is_refused() {
    let error = WordContext::new(Arc::new(TinyModel::new(262).load()), &tokenizer(), &WORDS).unwrap_err();
    assert_eq!(error, LanguageModelError::Token { token: 262, vocab_size: 262 }.into());
}
