use super::*;
use crate::Sha256Digest;
use crate::language_model::fixtures::TinyModel;
use crate::language_model::{KeyValueCache, log_softmax};

fn context() -> (TokenContext, Arc<LanguageModel>) {
    let model = Arc::new(TinyModel::new(40).load());
    // The ids 0 and 5 are not of the domain.
    let domain = Domain::new((1..40).filter(|id| *id != 5).collect(), Sha256Digest::of(b"t")).unwrap();
    (TokenContext::new(model.clone(), &domain).unwrap(), model)
}

fn expected(model: &LanguageModel, tokens: &[u32]) -> Vec<f32> {
    let mut logits = model.advance(&mut [(&mut KeyValueCache::new(), tokens)]).unwrap().remove(0);
    log_softmax(&mut logits);
    logits
}

#[test]
fn items_are_scored_as_their_ids_after_the_beginning_of_text() {
    let (mut context, model) = context();
    let start = context.start().unwrap();
    // Items 3 and 4 are the ids 4 and 6.
    let states = context.extend(&[(&start, 3), (&start, 4)]).unwrap();
    let longer = context.extend(&[(&states[1], 0)]).unwrap();
    let scores = context.log_probabilities(&[&start, &states[0], &longer[0]], &[37, 4]).unwrap();
    let expected: Vec<f32> = [&[0][..], &[0, 4], &[0, 6, 1]]
        .iter()
        .flat_map(|tokens| [39, 6].map(|id| expected(&model, tokens)[id]))
        .collect();
    assert_eq!(scores.len(), 6);
    assert!(scores.iter().zip(expected).all(|(a, b)| (a - f64::from(b)).abs() < 1e-4));
}

#[test]
fn a_long_record_is_read_in_a_window_that_keeps_its_later_half() {
    let (mut context, model) = context();
    let mut state = context.start().unwrap();
    let ids: Vec<u32> = (0..60).map(|n| 6 + n * 7 % 30).collect();
    for (read, id) in (1..).zip(&ids) {
        state = context.extend(&[(&state, id - 2)]).unwrap().remove(0);
        // The model has 24 positions: the beginning and 23 ids, or from then on the beginning and 12 to 23 ids.
        let kept = if read <= 23 { read } else { 12 + (read - 24) % 12 };
        let tokens = [&[0], &ids[read - kept..read]].concat();
        let found = context.log_probabilities(&[&state], &[0]).unwrap()[0];
        assert!((found - f64::from(expected(&model, &tokens)[1])).abs() < 1e-4, "after {read}");
    }
}

#[test]
fn without_a_beginning_token_the_first_is_unknown() {
    let model = TinyModel::with(40, &serde_json::json!({"bos_token_id": null})).load();
    let domain = Domain::new((0..40).collect(), Sha256Digest::of(b"t")).unwrap();
    let mut context = TokenContext::new(Arc::new(model), &domain).unwrap();
    let start = context.start().unwrap();
    let scores = context.log_probabilities(&[&start], &[0, 39]).unwrap();
    assert!(scores.iter().all(|score| (score + 40.0_f64.ln()).abs() < 1e-5));
    assert_eq!(format!("{:?}", context.extend(&[(&start, 3)]).unwrap()[0]), "Reading { tokens: 1, .. }");
}

#[test]
fn a_domain_beyond_the_model_is_refused() {
    let model = Arc::new(TinyModel::new(40).load());
    let domain = Domain::new((0..41).collect(), Sha256Digest::of(b"t")).unwrap();
    let error = TokenContext::new(model, &domain).unwrap_err();
    assert_eq!(error, LanguageModelError::Token { token: 40, vocab_size: 40 }.into());
}
