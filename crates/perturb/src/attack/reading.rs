//! A language model reading along: the tokens so far, and what may come next.

use std::sync::Arc;

use crate::language_model::{KeyValueCache, LanguageModel, LanguageModelError, log_softmax};

/// Tokens of context. Models of this size use hardly more, and attention over it stays a fraction of the work.
const WINDOW: usize = 256;

/// A place in a text: what was read, and ln p of every token that may follow.
#[derive(Clone)]
pub struct Reading {
    cache: KeyValueCache,
    /// The tokens in the cache, without the beginning-of-text token.
    tokens: Vec<u32>,
    next: Arc<[f32]>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was read is the text, or a guess of it.
        f.debug_struct("Reading").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

impl Reading {
    /// ln p of each token of the vocabulary, in nats.
    pub(super) fn next(&self) -> &[f32] {
        &self.next
    }
}

/// A model with the way it reads long texts: in a window that forgets its older half when it is full.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    model: Arc<LanguageModel>,
    window: usize,
}

impl Reader {
    pub(super) fn new(model: Arc<LanguageModel>) -> Self {
        let window = WINDOW.min(model.config().max_position_embeddings);
        Self { model, window }
    }

    /// Before the first token.
    pub(super) fn start(&self) -> Result<Reading, LanguageModelError> {
        let begin: Vec<u32> = self.model.config().bos_token_id.into_iter().collect();
        let mut cache = KeyValueCache::new();
        let logits = self.model.advance(&mut [(&mut cache, &begin)])?.pop().unwrap_or_default();
        // A model without a beginning-of-text token knows nothing of the first token: all alike.
        let logits = if logits.is_empty() { vec![0.0; self.model.vocab_size()] } else { logits };
        Ok(Reading { cache, tokens: Vec::new(), next: normalised(logits) })
    }

    /// Reads each run of tokens after its place. A run must not be empty.
    pub(super) fn read(&self, runs: &[(&Reading, &[u32])]) -> Result<Vec<Reading>, LanguageModelError> {
        let mut places: Vec<(KeyValueCache, Vec<u32>, Vec<u32>)> =
            runs.iter().map(|(from, tokens)| self.place(from, tokens)).collect();
        let mut runs: Vec<(&mut KeyValueCache, &[u32])> =
            places.iter_mut().map(|(cache, _, run)| (cache, run.as_slice())).collect();
        let logits = self.model.advance(&mut runs)?;
        let reading = |((cache, tokens, _), logits)| Reading { cache, tokens, next: normalised(logits) };
        Ok(places.into_iter().zip(logits).map(reading).collect())
    }

    /// The cache to continue, all tokens that it will hold, and those to read for it.
    fn place(&self, from: &Reading, more: &[u32]) -> (KeyValueCache, Vec<u32>, Vec<u32>) {
        let tokens = [&from.tokens, more].concat();
        if from.cache.len() + more.len() <= self.window {
            return (from.cache.clone(), tokens, more.to_vec());
        }
        let begin = self.model.config().bos_token_id;
        let kept = tokens[tokens.len() - tokens.len().min((self.window / 2).max(1))..].to_vec();
        // A model of a single position has no room for a beginning-of-text token beside the text.
        let begin = begin.filter(|_| kept.len() < self.window);
        (KeyValueCache::new(), kept.clone(), begin.into_iter().chain(kept).collect())
    }
}

fn normalised(mut logits: Vec<f32>) -> Arc<[f32]> {
    log_softmax(&mut logits);
    logits.into()
}
