use super::*;
use crate::fixtures::TinyModel;
use crate::fixtures::channel::{channel, correction, matrix, mechanism};
use crate::ops::{MODEL_SHARE, read};

const VOCABULARY: usize = 300;
const TOKENS: [u32; 7] = [0, 5, 9, 200, 31, 31, 3];

fn values(tensor: &Tensor) -> Vec<f32> {
    read(tensor, <[f32]>::to_vec).unwrap()
}

fn embed(channel: &ChannelCorrection, context: Context, tokens: &[u32]) -> Vec<f32> {
    let model = TinyModel::new().load();
    let table = model.rope_table(16);
    let context = ContextEmbeddings::new(&model, channel, context).unwrap();
    values(&context.embed(&model, channel, tokens, &table, None).unwrap())
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < tolerance, "{index}: {found} {expected}");
    }
}

/// Σ_x weight(x)·P(y | x)·E[x] / Σ_x weight(x)·P(y | x)
fn mean(whole: &[Vec<f64>], weights: &[f64], y: u32, embeddings: &[f32], d: usize) -> Vec<f32> {
    let mut sum = vec![0.0; d];
    let mut total = 0.0;
    for (x, row) in whole.iter().enumerate() {
        let weight = weights[x] * row[y as usize];
        total += weight;
        sum.iter_mut().zip(&embeddings[x * d..]).for_each(|(s, e)| *s += weight * f64::from(*e));
    }
    sum.iter().map(|s| (s / total) as f32).collect()
}

#[test]
fn the_table_is_the_mean_through_the_whole_matrix() {
    let (embeddings, d) = TinyModel::new().load().input_embeddings().unwrap();
    let uneven: Vec<f64> = (0..VOCABULARY).map(|id| (id % 13) as f64).collect();
    for (epsilon, m) in [(0.5, 1), (4.0, 3), (9.0, 2)] {
        let whole = matrix(VOCABULARY, &channel(VOCABULARY, mechanism(epsilon, m)));
        let flat = correction(VOCABULARY, epsilon, m);
        let given = correction(VOCABULARY, epsilon, m).with_prior(&uneven).unwrap();
        for (correction, prior) in [(flat, vec![1.0; VOCABULARY]), (given, uneven.clone())] {
            let table = posterior_mean(&correction, &embeddings, d);
            for y in 0..VOCABULARY {
                let expected = match correction.plausible(y as u32) {
                    None => embeddings[y * d..][..d].to_vec(),
                    Some(_) => mean(&whole, &prior, y as u32, &embeddings, d),
                };
                assert_close(&table[y * d..][..d], &expected, 1e-6);
            }
        }
    }
}

#[test]
fn received_tokens_are_read_as_they_are() {
    let model = TinyModel::new().load();
    let plain = values(&model.embed(&TOKENS).unwrap());
    assert_eq!(embed(&correction(VOCABULARY, 4.0, 2), Context::Received, &TOKENS), plain);
    // A channel that changes nothing leaves them so whatever the context.
    let silent = correction(VOCABULARY, 30.0, 1);
    for context in [Context::PosteriorMean, Context::Denoised { passes: 1 }, Context::Denoised { passes: 3 }]
    {
        assert_close(&embed(&silent, context, &TOKENS), &plain, 1e-6);
    }
    let noisy = embed(&correction(VOCABULARY, 1.0, 1), Context::PosteriorMean, &TOKENS);
    assert!(noisy.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 0.1));
}

#[test]
fn a_pass_takes_the_models_prediction_for_the_prior() {
    let model = TinyModel::new().load();
    let (embeddings, d) = model.input_embeddings().unwrap();
    let (whole, channel) =
        (matrix(VOCABULARY, &channel(VOCABULARY, mechanism(4.0, 3))), correction(VOCABULARY, 4.0, 3));
    let table = model.rope_table(16);
    let mut expected = embed(&channel, Context::PosteriorMean, &TOKENS);
    for passes in 1..=3 {
        let x = Tensor::from_vec(expected.clone(), (TOKENS.len(), d), &Device::Cpu).unwrap();
        let logits = model.logits(&model.hidden_states_of(x, &table, None, None).unwrap()).unwrap();
        let logits = values(&logits);
        for (position, &y) in TOKENS.iter().enumerate().skip(1) {
            let row = &logits[(position - 1) * VOCABULARY..][..VOCABULARY];
            let inside = |id: usize| channel.plausible(id as u32).is_some();
            let ids = || (0..VOCABULARY).filter(|&id| inside(id));
            let sum: f64 = ids().map(|id| f64::from(row[id]).exp()).sum();
            let public = (1.0 - MODEL_SHARE) / ids().count() as f64;
            let prior = |id: usize| match inside(id) {
                true => MODEL_SHARE * f64::from(row[id]).exp() / sum + public,
                false => 1.0,
            };
            let weights: Vec<f64> = (0..VOCABULARY).map(prior).collect();
            expected[position * d..][..d].copy_from_slice(&mean(&whole, &weights, y, &embeddings, d));
        }
        assert_close(&embed(&channel, Context::Denoised { passes }, &TOKENS), &expected, 1e-5);
    }
}

#[test]
fn one_token_has_nothing_before_it() {
    let channel = correction(VOCABULARY, 4.0, 2);
    let alone = embed(&channel, Context::Denoised { passes: 2 }, &[5]);
    assert_eq!(alone, embed(&channel, Context::PosteriorMean, &[5]));
    // And no token depends on a later one.
    let whole = embed(&channel, Context::Denoised { passes: 2 }, &TOKENS);
    let part = embed(&channel, Context::Denoised { passes: 2 }, &TOKENS[..4]);
    assert_close(&whole[..part.len()], &part, 1e-6);
}
