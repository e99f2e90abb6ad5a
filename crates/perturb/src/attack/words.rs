//! Context for a channel over words, scored by a model over tokens.
//!
//! ln p(word | words before) = Σ ln p(token | tokens before) over the tokens of `" word"`. Words of several tokens need a forward
//! pass for each beginning of theirs, so the attack should consider few candidates: see
//! [`AttackOptions::candidates`](super::AttackOptions::candidates).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reading::{Reader, Reading};
use super::{AttackError, ContextModel};
use crate::Tokenizer;
use crate::language_model::LanguageModel;

/// Context for a channel whose items are words.
#[derive(Clone)]
pub struct WordContext {
    reader: Reader,
    /// Tokens of each word with a space in front; never empty.
    words: Vec<Vec<u32>>,
}

impl std::fmt::Debug for WordContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordContext").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

impl WordContext {
    /// The n-th of `words` is the channel's item n; `tokenizer` must be the model's.
    ///
    /// # Errors
    /// If the tokenizer fails, or makes tokens that the model does not know.
    pub fn new(
        model: Arc<LanguageModel>,
        tokenizer: &Tokenizer,
        words: &[impl AsRef<str>],
    ) -> Result<Self, AttackError> {
        let (token, vocab_size) = (tokenizer.domain().max_id(), model.vocab_size());
        if token as usize >= vocab_size {
            return Err(crate::language_model::LanguageModelError::Token { token, vocab_size }.into());
        }
        let spelled = words.iter().map(|word| tokenizer.encode(&format!(" {}", word.as_ref())));
        Ok(Self { reader: Reader::new(model), words: spelled.collect::<Result<_, _>>()? })
    }

    fn tokens(&self, item: u32) -> &[u32] {
        &self.words[item as usize]
    }
}

impl ContextModel for WordContext {
    type State = Reading;

    fn items(&self) -> usize {
        self.words.len()
    }

    fn start(&mut self) -> Result<Reading, AttackError> {
        Ok(self.reader.start()?)
    }

    /// Level by level: at the n-th, every distinct beginning of n tokens is read once for each state.
    fn log_probabilities(
        &mut self,
        states: &[&Reading],
        candidates: &[u32],
    ) -> Result<Vec<f64>, AttackError> {
        let mut scores = vec![0.0; states.len() * candidates.len()];
        let mut level: BTreeMap<(usize, &[u32]), Reading> = states
            .iter()
            .enumerate()
            .map(|(index, state)| ((index, [].as_slice()), (*state).clone()))
            .collect();
        for read in 0.. {
            let mut longer = BTreeMap::new();
            for (slot, score) in scores.iter_mut().enumerate() {
                let (state, word) =
                    (slot / candidates.len(), self.tokens(candidates[slot % candidates.len()]));
                if let Some(&token) = word.get(read) {
                    *score += f64::from(level[&(state, &word[..read])].next()[token as usize]);
                }
                if word.len() > read + 1 {
                    longer.insert((state, &word[..=read]), ());
                }
            }
            if longer.is_empty() {
                break;
            }
            let beginnings: Vec<(usize, &[u32])> = longer.into_keys().collect();
            let runs: Vec<(&Reading, &[u32])> = beginnings
                .iter()
                .map(|&(state, beginning)| (&level[&(state, &beginning[..read])], &beginning[read..]))
                .collect();
            let readings = self.reader.read(&runs)?;
            level = beginnings.into_iter().zip(readings).collect();
        }
        Ok(scores)
    }

    fn extend(&mut self, steps: &[(&Reading, u32)]) -> Result<Vec<Reading>, AttackError> {
        let runs: Vec<(&Reading, &[u32])> =
            steps.iter().map(|(state, item)| (*state, self.tokens(*item))).collect();
        Ok(self.reader.read(&runs)?)
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
