use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::language_model::fixtures::TinyModel;

/// A second forward pass, written from the equations in f64 without cache or shared code; logits after the last token.
fn naive(tiny: &TinyModel, tokens: &[u32]) -> Vec<f64> {
    let tensor = |name: &str| -> Vec<f64> { tiny.tensors[name].1.iter().map(|v| f64::from(*v)).collect() };
    let times = |matrix: &[f64], x: &[f64]| -> Vec<f64> {
        matrix.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let norm = |x: &[f64], gain: &[f64]| -> Vec<f64> {
        let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
        x.iter().zip(gain).map(|(v, g)| v / (mean + 1e-5).sqrt() * g).collect()
    };
    let turn = |x: &mut [f64], position: usize| {
        for head in x.chunks_mut(6) {
            for i in 0..3 {
                let angle = position as f64 / 100_f64.powf(i as f64 / 3.0);
                let (a, b) = (head[i], head[i + 3]);
                head[i] = a * angle.cos() - b * angle.sin();
                head[i + 3] = b * angle.cos() + a * angle.sin();
            }
        }
    };
    let plus = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
    let embeddings = tensor("model.embed_tokens.weight");
    let mut x: Vec<Vec<f64>> = tokens.iter().map(|&t| embeddings[t as usize * 20..][..20].to_vec()).collect();
    for layer in 0..2 {
        let part = |name: &str| tensor(&format!("model.layers.{layer}.{name}.weight"));
        let normed: Vec<Vec<f64>> = x.iter().map(|x| norm(x, &part("input_layernorm"))).collect();
        let project = |name: &str, turned: bool| -> Vec<Vec<f64>> {
            let matrix = part(name);
            let rows = normed.iter().enumerate().map(|(position, x)| {
                let mut y = times(&matrix, x);
                if turned {
                    turn(&mut y, position);
                }
                y
            });
            rows.collect()
        };
        let (q, k, v) = (
            project("self_attn.q_proj", true),
            project("self_attn.k_proj", true),
            project("self_attn.v_proj", false),
        );
        for t in 0..x.len() {
            let mut attended = vec![0.0; 24];
            for channel in 0..24 {
                let (head, shared) = (channel / 6, channel / 12);
                let score = |s: usize| {
                    (0..6).map(|c| q[t][head * 6 + c] * k[s][shared * 6 + c]).sum::<f64>() / 6_f64.sqrt()
                };
                let total: f64 = (0..=t).map(|s| score(s).exp()).sum();
                attended[channel] =
                    (0..=t).map(|s| score(s).exp() / total * v[s][shared * 6 + channel % 6]).sum();
            }
            x[t] = plus(&x[t], &times(&part("self_attn.o_proj"), &attended));
            let normed = norm(&x[t], &part("post_attention_layernorm"));
            let (gate, up) = (times(&part("mlp.gate_proj"), &normed), times(&part("mlp.up_proj"), &normed));
            let inner: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            x[t] = plus(&x[t], &times(&part("mlp.down_proj"), &inner));
        }
    }
    let head =
        if tiny.tensors.contains_key("lm_head.weight") { tensor("lm_head.weight") } else { embeddings };
    times(&head, &norm(x.last().unwrap(), &tensor("model.norm.weight")))
}

fn logits(model: &LanguageModel, tokens: &[u32]) -> Vec<f32> {
    model.advance(&mut [(&mut KeyValueCache::new(), tokens)]).unwrap().remove(0)
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
}

#[test]
fn logits_equal_a_second_forward_pass() {
    for changes in [json!({}), json!({"tie_word_embeddings": false})] {
        let tiny = TinyModel::with(40, &changes);
        let tokens = [3, 0, 39, 17, 17, 5, 28];
        for length in 1..=tokens.len() {
            let expected: Vec<f32> = naive(&tiny, &tokens[..length]).iter().map(|v| *v as f32).collect();
            assert_close(&logits(&tiny.load(), &tokens[..length]), &expected);
        }
    }
}

#[test]
fn another_theta_head_or_order_is_another_model() {
    let tokens = [3, 9, 1, 30];
    let tiny = TinyModel::new(40);
    let expected = logits(&tiny.load(), &tokens);
    let differs = |other: &[f32]| expected.iter().zip(other).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(differs(&logits(&TinyModel::with(40, &json!({"rope_theta": 150.0})).load(), &tokens)));
    assert!(differs(&logits(&tiny.load(), &[9, 3, 1, 30])));
    let mut untied = tiny.clone();
    untied.config["tie_word_embeddings"] = json!(false);
    let (shape, mut table) = untied.tensors["model.embed_tokens.weight"].clone();
    table.reverse();
    untied.tensors.insert("lm_head.weight".to_owned(), (shape, table));
    assert!(differs(&logits(&untied.load(), &tokens)));
}

#[test]
fn calls_that_cannot_be_are_refused_and_change_nothing() {
    let model = TinyModel::new(40).load();
    let mut cache = KeyValueCache::new();
    let (mut fine, all) = (KeyValueCache::new(), [1; 25]);
    let error = model.advance(&mut [(&mut fine, &[1, 2]), (&mut cache, &[40])]).unwrap_err();
    assert_eq!(error, LanguageModelError::Token { token: 40, vocab_size: 40 });
    let error = model.advance(&mut [(&mut cache, &all)]).unwrap_err();
    assert_eq!(error, LanguageModelError::TooLong { length: 25, limit: 24 });
    assert!(fine.is_empty() && cache.is_empty());
    model.advance(&mut [(&mut cache, &all[..24])]).unwrap();
    assert_eq!(
        model.advance(&mut [(&mut cache, &[1])]),
        Err(LanguageModelError::TooLong { length: 25, limit: 24 })
    );
    let mut foreign = KeyValueCache { cells: vec![[0.0; 3].as_slice().into()] };
    assert_eq!(model.advance(&mut [(&mut foreign, &[1])]), Err(LanguageModelError::ForeignCache));
    assert_eq!(model.advance(&mut [(&mut fine, &[])]), Ok(vec![Vec::new()]));
    assert_eq!(model.advance(&mut []), Ok(Vec::new()));
}

#[test]
fn log_softmax_is_a_distribution_even_of_large_logits() {
    let mut logits = vec![1000.0, 999.0, -1000.0];
    log_softmax(&mut logits);
    let expected = -(1.0 + (-1.0_f32).exp()).ln();
    assert!((logits[0] - expected).abs() < 1e-4 && (logits[1] - expected + 1.0).abs() < 1e-4, "{logits:?}");
    assert!((logits.iter().map(|v| v.exp()).sum::<f32>() - 1.0).abs() < 1e-4);
}

#[test]
fn a_debug_line_shows_no_keys_or_values() {
    let model = TinyModel::new(40).load();
    let mut cache = KeyValueCache::new();
    model.advance(&mut [(&mut cache, &[1, 2])]).unwrap();
    assert_eq!(format!("{cache:?}"), "KeyValueCache { tokens: 2, .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_forks_cuts_and_company_change_nothing(
        tokens in prop::collection::vec(0_u32..40, 2..12), cut: prop::sample::Index, others in prop::collection::vec(0_u32..40, 1..6),
    ) {
        let model = TinyModel::new(40).load();
        let expected = logits(&model, &tokens);
        let (head, tail) = tokens.split_at(1 + cut.index(tokens.len() - 1));
        let mut cache = KeyValueCache::new();
        model.advance(&mut [(&mut cache, head)]).unwrap();
        // Six caches in one call, of which the first two are forks of one.
        let (mut fork, mut strays) = (cache.clone(), vec![KeyValueCache::new(); 4]);
        let mut runs: Vec<(&mut KeyValueCache, &[u32])> = vec![(&mut cache, &others), (&mut fork, tail)];
        runs.extend(strays.iter_mut().map(|stray| (stray, others.as_slice())));
        let found = model.advance(&mut runs).unwrap();
        assert_close(&found[1], &expected);
        assert_close(&found[2], &logits(&model, &others));
        cache.truncate(head.len());
        prop_assert_eq!(cache.len(), head.len());
        assert_close(&model.advance(&mut [(&mut cache, tail)]).unwrap()[0], &expected);
    }
}
