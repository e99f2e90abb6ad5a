//! What of a written chat the assistant said.
//!
//! A template that marks it with `{% generation %}` is believed. Of any other, the model's own situation is replayed: what it is given
//! before it answers is the chat up to there with the generation prompt, and its answer is what comes after that when the chat goes one
//! message further. That holds where writing a longer chat only adds to what a shorter one gave, which is checked.

use std::ops::Range;

use perturb::text::{Message, Role};

use super::ChatError;
use super::guard::{TURN, TURN_END};
use super::template::ChatTemplate;

/// A chat as its template wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The text, with the marks around literals.
    pub(super) text: String,
    /// Bytes that the assistant said, in order.
    pub(super) assistant: Vec<Range<usize>>,
}

impl Written {
    pub(super) fn by(template: &ChatTemplate, messages: &[Message], line: usize) -> Result<Self, ChatError> {
        let text = template.render(messages, false, line)?;
        if template.marks_turns() {
            return Ok(Self::marked(&text));
        }
        let mut assistant = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            if message.role == Role::Assistant {
                let prompt = template.render(&messages[..index], true, line)?;
                let answered = template.render(&messages[..=index], false, line)?;
                if !(answered.starts_with(&prompt) && text.starts_with(&answered)) {
                    return Err(ChatError::NotPrefixStable { line, message: index + 1 });
                }
                assistant.push(prompt.len()..answered.len());
            }
        }
        Ok(Self { text, assistant })
    }

    /// Takes the marks of turns out and keeps their places.
    fn marked(rendered: &str) -> Self {
        let (mut text, mut assistant, mut begin) = (String::with_capacity(rendered.len()), Vec::new(), None);
        for character in rendered.chars() {
            match character {
                TURN => begin = Some(text.len()),
                TURN_END => assistant.extend(begin.take().map(|begin| begin..text.len())),
                other => text.push(other),
            }
        }
        Self { text, assistant }
    }

    /// Whether the assistant said what stands at a byte.
    pub(super) fn is_assistants(&self, byte: usize) -> bool {
        self.assistant.iter().any(|span| span.contains(&byte))
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
