//! Text from a model, one token at a time over a key-value cache.

use perturb::Tokenizer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::adapter::{Adapter, AdapterError};
use crate::model::{BaseModel, KeyValueCache, ModelError};

/// How to choose the next token, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Most tokens to add; an end token or the last position of the model ends earlier.
    pub max_tokens: usize,
    /// 0 takes the likeliest token; 1 samples from the model's distribution; between, sharper than that.
    pub temperature: f64,
    /// Sample among the likeliest `top_k` tokens only; 0 for all.
    pub top_k: usize,
    /// Equal seeds give equal text.
    pub seed: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_tokens: 100, temperature: 0.8, top_k: 40, seed: 0 }
    }
}

/// Why no text can be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The adapter or the model cannot be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The forward pass failed, or the prompt is too long.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The prompt cannot be encoded.
    #[error(transparent)]
    Tokenizer(#[from] perturb::TokenizerError),
    /// The temperature is no temperature.
    #[error("temperature is {0}, but must be 0 or a positive number")]
    Temperature(f64),
    /// The tokenizer makes tokens that the model does not have.
    #[error(
        "the tokenizer makes the token {token}, but the model's vocabulary ends at {vocab_size}: they do not belong together"
    )]
    TokenOutOfRange {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// There is nothing to continue: an empty prompt, and a model without a token that begins a text.
    #[error("the prompt is empty, and this model has no beginning-of-text token: give a prompt")]
    EmptyPrompt,
}

/// The continuation of `prompt`, without the prompt.
///
/// # Errors
/// [`GenerateError`] says what does not fit.
pub fn generate(
    model: &BaseModel,
    adapter: Option<&Adapter>,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &GenerateOptions,
) -> Result<String, GenerateError> {
    if !(options.temperature.is_finite() && options.temperature >= 0.0) {
        return Err(GenerateError::Temperature(options.temperature));
    }
    let config = model.config();
    let mut input = prompt_tokens(model, tokenizer, prompt)?;
    let limit = config.max_position_embeddings;
    if input.len() > limit {
        return Err(ModelError::SequenceTooLong { length: input.len(), limit }.into());
    }
    let lora = adapter.map(|adapter| adapter.tensors(model)).transpose()?;
    let steps = options.max_tokens.min(limit - input.len());
    let table = model.rope_table(input.len() + steps);
    let (mut cache, mut rng) = (KeyValueCache::new(model), ChaCha20Rng::seed_from_u64(options.seed));
    let mut output: Vec<u32> = Vec::new();
    for _ in 0..steps {
        let logits = model.next_token_logits(&input, &table, lora.as_ref(), &mut cache)?;
        let token = choose(&logits, options, &mut rng);
        if config.eos_token_ids.contains(&token) {
            break;
        }
        output.push(token);
        input = vec![token];
    }
    Ok(tokenizer.decode(&output))
}

fn prompt_tokens(model: &BaseModel, tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, GenerateError> {
    let vocab_size = model.config().vocab_size;
    let mut tokens: Vec<u32> = model.config().bos_token_id.into_iter().collect();
    tokens.extend(tokenizer.encode(prompt)?);
    match tokens.iter().find(|&&token| token as usize >= vocab_size) {
        Some(&token) => Err(GenerateError::TokenOutOfRange { token, vocab_size }),
        None if tokens.is_empty() => Err(GenerateError::EmptyPrompt),
        None => Ok(tokens),
    }
}

/// The likeliest token at temperature 0, else a draw from `softmax(logits / temperature)` over the `top_k` likeliest.
fn choose(logits: &[f32], options: &GenerateOptions, rng: &mut impl Rng) -> u32 {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let likelier = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    order.sort_unstable_by(likelier);
    if options.temperature == 0.0 {
        return order[0];
    }
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let largest = f64::from(logits[order[0] as usize]);
    let weights: Vec<f64> = order
        .iter()
        .map(|&token| ((f64::from(logits[token as usize]) - largest) / options.temperature).exp())
        .collect();
    // 53 random bits, uniform in [0, 1), as many as an f64 holds.
    let uniform = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut rest = uniform * weights.iter().sum::<f64>();
    for (token, weight) in order.iter().zip(&weights) {
        rest -= weight;
        if rest < 0.0 {
            return *token;
        }
    }
    // Only rounding of the sum leads here; the likeliest token is always possible.
    order[0]
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
