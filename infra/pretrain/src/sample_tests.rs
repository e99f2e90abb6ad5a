use super::*;
use crate::config::{Layout, initialise};
use crate::tokenizer;

const CONFIG: SampleConfig = SampleConfig { temperature: 1.0, top_k: 3, max_tokens: 8, seed: 1 };

#[test]
fn draws_have_the_softmax_frequencies_of_the_top() {
    let logits = [0.1_f32, 2.0, 1.0, -5.0, 1.5];
    let draws = 20_000;
    let mut counts = [0_u32; 5];
    for i in 0..draws {
        // Evenly spaced uniforms: frequencies are exact to one part in `draws`.
        counts[usize::from(draw(logits.to_vec(), &CONFIG, (i as f32 + 0.5) / draws as f32))] += 1;
    }
    let total: f32 = [1, 2, 4].iter().map(|&i: &usize| logits[i].exp()).sum();
    for (i, count) in counts.iter().enumerate() {
        let expected = if [1, 2, 4].contains(&i) { logits[i].exp() / total } else { 0.0 };
        assert!((*count as f32 / draws as f32 - expected).abs() < 1e-3, "token {i}: {count}");
    }
}

#[test]
fn one_candidate_is_the_most_likely() {
    let greedy = SampleConfig { top_k: 1, ..CONFIG };
    assert_eq!(draw(vec![0.0, 3.0, 1.0], &greedy, 0.999), 1);
}

#[test]
fn low_temperature_sharpens() {
    let cold = SampleConfig { temperature: 0.01, ..CONFIG };
    assert_eq!(draw(vec![0.0, 1.0, 0.9], &cold, 0.99), 1);
}

#[test]
fn a_seed_decides_the_text_and_long_prompts_are_refused() {
    let model = ModelConfig { vocab_size: 270, layers: 1, max_position_embeddings: 32, ..ModelConfig::DEMO };
    let weights = initialise(&model, &Layout::new(&model), 1);
    let tokenizer = tokenizer::train(["some text with words in the text"; 3].into_iter(), 270).unwrap();
    let wide = SampleConfig { top_k: 270, ..CONFIG };
    let text = |seed| generate(&model, &weights, &tokenizer, "some", &SampleConfig { seed, ..wide }).unwrap();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
    let error =
        generate(&model, &weights, &tokenizer, &"words in ".repeat(32), &CONFIG).unwrap_err().to_string();
    assert!(error.contains("at most 31"), "{error}");
}
