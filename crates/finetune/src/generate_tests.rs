use super::*;
use crate::fixtures::{TinyModel, random, tokenizer_json};
use serde_json::json;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(&tokenizer_json()).unwrap()
}

fn options(temperature: f64, top_k: usize, seed: u64) -> GenerateOptions {
    GenerateOptions { max_tokens: 20, temperature, top_k, seed }
}

#[test]
fn greedy_text_is_the_likeliest_continuation_token_by_token() {
    let model = TinyModel::new().load();
    let text = generate(&model, None, &tokenizer(), "ab", &options(0.0, 0, 0)).unwrap();
    // The same without a cache: the whole sequence again for every token.
    let (table, mut tokens) = (model.rope_table(64), vec![0, 98, 99]);
    for _ in 0..20 {
        let mut cache = KeyValueCache::new(&model);
        let logits = model.next_token_logits(&tokens, &table, None, &mut cache).unwrap();
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        if best == 0 {
            break;
        }
        tokens.push(best as u32);
    }
    assert_eq!(text, tokenizer().decode(&tokens[3..]));
    assert!(tokens.len() > 5, "an early end would show little");
}

#[test]
fn equal_seeds_give_equal_text_and_others_other_text() {
    let model = TinyModel::new().load();
    let text = |seed| generate(&model, None, &tokenizer(), "ab", &options(1.5, 0, seed)).unwrap();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
    let top_1 = |seed| generate(&model, None, &tokenizer(), "ab", &options(1.5, 1, seed)).unwrap();
    assert_eq!(top_1(1), generate(&model, None, &tokenizer(), "ab", &options(0.0, 0, 9)).unwrap());
}

#[test]
fn draws_follow_the_distribution() {
    let logits: Vec<f32> = vec![1.0, -0.5, 0.25, 2.0];
    let count = |temperature: f64, top_k| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut counts = [0.0f64; 4];
        for _ in 0..20_000 {
            counts[choose(&logits, &options(temperature, top_k, 0), &mut rng) as usize] += 1.0;
        }
        counts
    };
    let chi_square = |counts: [f64; 4], temperature: f64| {
        let weights: Vec<f64> = logits.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        counts
            .iter()
            .zip(&weights)
            .map(|(c, w)| (c - 20_000.0 * w / total).powi(2) / (20_000.0 * w / total))
            .sum::<f64>()
    };
    // The 99.99 % point of chi-square with 3 degrees of freedom is 21.1.
    assert!(chi_square(count(0.7, 0), 0.7) < 21.1);
    assert!(chi_square(count(0.7, 0), 1.0) > 21.1, "another temperature must be told apart");
    let two = count(1.0, 2);
    assert!(two[1] == 0.0 && two[2] == 0.0 && two[0] > 0.0 && two[3] > two[0]);
}

#[test]
fn generation_ends_at_an_end_token_and_at_the_last_position() {
    let mut tiny = TinyModel::new();
    let ends: Vec<u32> = (0..300).collect();
    tiny.config["eos_token_id"] = json!(ends);
    assert_eq!(generate(&tiny.load(), None, &tokenizer(), "ab", &options(1.0, 0, 1)).unwrap(), "");
    let long = GenerateOptions { max_tokens: 10_000, ..options(0.0, 0, 0) };
    let mut endless = TinyModel::new();
    endless.config["eos_token_id"] = json!(null);
    let model = endless.load();
    let (table, mut cache) = (model.rope_table(64), KeyValueCache::new(&model));
    model
        .next_token_logits(
            &random(1, 64, 1.0).iter().map(|_| 5).collect::<Vec<u32>>(),
            &table,
            None,
            &mut cache,
        )
        .unwrap();
    generate(&model, None, &tokenizer(), "ab", &long).unwrap();
}

#[test]
fn unusable_requests_are_refused() {
    let model = TinyModel::new().load();
    let error = |model: &BaseModel, prompt: &str, temperature| {
        generate(model, None, &tokenizer(), prompt, &options(temperature, 0, 0)).unwrap_err()
    };
    for temperature in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(error(&model, "ab", temperature), GenerateError::Temperature(_)));
    }
    let too_long = error(&model, &"a".repeat(64), 1.0);
    assert!(matches!(too_long, GenerateError::Model(ModelError::SequenceTooLong { length: 65, limit: 64 })));
    let small = TinyModel::with(&json!({"vocab_size": 90})).load();
    assert!(matches!(error(&small, "ab", 1.0), GenerateError::TokenOutOfRange { token: 98, vocab_size: 90 }));
    let bare = TinyModel::with(&json!({"bos_token_id": null})).load();
    assert!(matches!(error(&bare, "", 1.0), GenerateError::EmptyPrompt));
    generate(&model, None, &tokenizer(), "", &options(1.0, 0, 0)).unwrap();
}
