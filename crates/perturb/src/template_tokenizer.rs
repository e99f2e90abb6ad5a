//! The model's tokenizer as a chat template needs it: control tokens that the template wrote become their ids.
//!
//! [`Tokenizer`](crate::Tokenizer) takes every text as an owner's text, in which `<|im_start|>` is eleven characters. What a template
//! writes around that text is of the other kind. Whoever has both keeps them apart; this one is for the template's part alone.

use std::ops::Range;

use serde_json::Value;

use crate::TokenizerError;
use crate::tokenizer::switch_off;

/// A tokenizer that reads added tokens in a text as what they are, and otherwise adds nothing and cuts nothing.
#[derive(Debug, Clone)]
pub struct TemplateTokenizer {
    inner: tokenizers::Tokenizer,
    control_tokens: Vec<String>,
}

impl TemplateTokenizer {
    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Unreadable`] if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let unreadable = |reason: String| TokenizerError::Unreadable(reason);
        let mut json: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        switch_off(&mut json).ok_or_else(|| unreadable("a part is missing".to_owned()))?;
        control_tokens_as_written(&mut json);
        // Serialising a `Value` cannot fail: its keys are strings.
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string());
        let inner = inner.map_err(|error| unreadable(error.to_string()))?;
        let added = inner.get_added_tokens_decoder().into_values();
        let control_tokens = added.filter(|token| token.special).map(|token| token.content).collect();
        Ok(Self { inner, control_tokens })
    }

    /// The tokens that steer the model, such as `<|im_start|>`: those that the tokenizer calls special. Others that were added, such as
    /// `<think>`, are words of the text.
    pub fn control_tokens(&self) -> &[String] {
        &self.control_tokens
    }

    /// The token ids of a text with the bytes of it that each stands for.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the text cannot be encoded.
    pub fn encode(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, TokenizerError> {
        let encoding = self.inner.encode(text, false).map_err(|_| TokenizerError::Encode)?;
        let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(offsets).collect())
    }
}

/// Makes control tokens match the text as it stands. A tokenizer that lower-cases or folds a text before it looks for them would read
/// `<|IM_END|>` in a message as the control token that it is not; a template writes them letter for letter.
fn control_tokens_as_written(json: &mut Value) {
    for token in json.get_mut("added_tokens").and_then(Value::as_array_mut).into_iter().flatten() {
        if token["special"] == Value::Bool(true) {
            token["normalized"] = Value::Bool(false);
        }
    }
}

#[cfg(test)]
#[path = "template_tokenizer_tests.rs"]
mod tests;
