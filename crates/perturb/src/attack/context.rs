//! What a contextual attack asks of a language model, and the answer for channels over the model's own tokens.

use std::sync::Arc;

use super::AttackError;
use super::reading::{Reader, Reading};
use crate::Domain;
use crate::language_model::{LanguageModel, LanguageModelError};

/// How likely an item is after the items before it. An item is a token or a word of the channel's vocabulary; how the model
/// spells it is its own affair.
///
/// Calls come in batches, because a model reads its weights once for all of one.
pub trait ContextModel {
    /// What was read so far. Cloning must be cheap: a beam search does it for every token.
    type State: Clone;

    /// Items that it knows: those of the channel.
    fn items(&self) -> usize;

    /// The beginning of a record.
    ///
    /// # Errors
    /// What the model says.
    fn start(&mut self) -> Result<Self::State, AttackError>;

    /// ln p(candidate | state), in nats: states × candidates, state by state.
    ///
    /// # Errors
    /// What the model says.
    fn log_probabilities(
        &mut self,
        states: &[&Self::State],
        candidates: &[u32],
    ) -> Result<Vec<f64>, AttackError>;

    /// Each state after one more item.
    ///
    /// # Errors
    /// What the model says.
    fn extend(&mut self, steps: &[(&Self::State, u32)]) -> Result<Vec<Self::State>, AttackError>;
}

/// Context for a channel over the tokens of the language model's own tokenizer.
#[derive(Debug, Clone)]
pub struct TokenContext {
    reader: Reader,
    ids: Vec<u32>,
}

impl TokenContext {
    /// Items are those of `domain`, which must be that of the model's tokenizer.
    ///
    /// # Errors
    /// [`LanguageModelError::Token`] if the domain has tokens that the model does not know.
    pub fn new(model: Arc<LanguageModel>, domain: &Domain) -> Result<Self, AttackError> {
        let (token, vocab_size) = (domain.max_id(), model.vocab_size());
        if token as usize >= vocab_size {
            return Err(LanguageModelError::Token { token, vocab_size }.into());
        }
        Ok(Self { reader: Reader::new(model), ids: domain.ids().to_vec() })
    }
}

impl ContextModel for TokenContext {
    type State = Reading;

    fn items(&self) -> usize {
        self.ids.len()
    }

    fn start(&mut self) -> Result<Reading, AttackError> {
        Ok(self.reader.start()?)
    }

    fn log_probabilities(
        &mut self,
        states: &[&Reading],
        candidates: &[u32],
    ) -> Result<Vec<f64>, AttackError> {
        let of_state = |state: &&Reading| {
            let next = state.next();
            candidates
                .iter()
                .map(|&item| f64::from(next[self.ids[item as usize] as usize]))
                .collect::<Vec<_>>()
        };
        Ok(states.iter().flat_map(of_state).collect())
    }

    fn extend(&mut self, steps: &[(&Reading, u32)]) -> Result<Vec<Reading>, AttackError> {
        let tokens: Vec<[u32; 1]> = steps.iter().map(|(_, item)| [self.ids[*item as usize]]).collect();
        let runs: Vec<(&Reading, &[u32])> =
            steps.iter().zip(&tokens).map(|((state, _), token)| (*state, token.as_slice())).collect();
        Ok(self.reader.read(&runs)?)
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
