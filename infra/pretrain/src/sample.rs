//! Text from the model, to look at its quality.

use anyhow::{Result, anyhow, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::Tokenizer;

use crate::config::ModelConfig;
use crate::forward::Workspace;
use crate::matmul::Precision;
use crate::tokenizer::{END_OF_TEXT_ID, encode};

/// How the next token is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleConfig {
    /// Divides the logits; below 1 sharpens.
    pub(crate) temperature: f32,
    /// Only this many most likely tokens are drawn from.
    pub(crate) top_k: usize,
    /// Most tokens to add.
    pub(crate) max_tokens: usize,
    /// Seed of the draws.
    pub(crate) seed: u64,
}

/// The prompt's continuation, up to the first separator. Recomputes the whole text for each token: slow but simple,
/// and quick enough for a model of this size.
pub(crate) fn generate(
    model: &ModelConfig,
    weights: &[f32],
    tokenizer: &Tokenizer,
    prompt: &str,
    config: &SampleConfig,
) -> Result<String> {
    let mut ids = vec![END_OF_TEXT_ID];
    ids.extend(encode(tokenizer, prompt)?);
    let prompt_len = ids.len();
    let most = model.max_position_embeddings;
    ensure!(prompt_len < most, "the prompt has {prompt_len} tokens; at most {} fit", most - 1);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    while ids.len() < most.min(prompt_len + config.max_tokens) {
        let mut workspace = Workspace::new(model, 1, ids.len(), Precision::Single);
        workspace.forward(weights, &ids);
        let next = draw(workspace.logits(weights, ids.len() - 1), config, rng.random());
        if next == END_OF_TEXT_ID {
            break;
        }
        ids.push(next);
    }
    let added: Vec<u32> = ids[prompt_len..].iter().map(|&id| u32::from(id)).collect();
    tokenizer.decode(&added, true).map_err(|e| anyhow!("cannot decode: {e}"))
}

/// Inverse-transform draw among the `top_k` largest logits, `uniform` ∈ [0, 1).
fn draw(logits: Vec<f32>, config: &SampleConfig, uniform: f32) -> u16 {
    let mut ranked: Vec<(usize, f32)> = logits.into_iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(config.top_k.max(1));
    let max = ranked[0].1;
    let weights: Vec<f32> = ranked.iter().map(|(_, l)| ((l - max) / config.temperature).exp()).collect();
    let mut left = uniform * weights.iter().sum::<f32>();
    for ((id, _), weight) in ranked.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return *id as u16;
        }
    }
    ranked[0].0 as u16
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
