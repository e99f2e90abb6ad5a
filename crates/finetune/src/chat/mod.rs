//! Chats as training sequences: written by the model's own template, learned where the assistant speaks.
//!
//! ```text
//! {"messages": [{"role", "content"}, …]} ─▶ guard ─▶ ChatTemplate ─▶ text with the assistant's spans ─▶ tokens with flags
//! ```
//! - [`template`](ChatTemplate): where a template comes from, and rendering it
//! - `spans`: which part of what it wrote the assistant said
//! - `guard`: a control token in a message stays text
//!
//! # Tokens
//! The template writes every special token itself, the first and the last included, so none is added. In what the template wrote
//! they become their ids; in what a person wrote (a message's content) `<|im_end|>` remains ten characters, for else a message could
//! end its own turn and speak for another role. Tokens that were added to a vocabulary without being special, such as `<think>`, are
//! words, and are read as such everywhere. A token counts if its first character lies in an assistant's span.

mod error;
mod guard;
mod spans;
mod template;

use dp::PrivacyUnit;
use perturb::text::{JsonRecord, Message};
use perturb::{TemplateTokenizer, Tokenizer};

use crate::model::ModelFiles;
use crate::records::{DataError, Sequence};
use guard::{Piece, guarded, pieces};
use spans::Written;

pub use error::ChatError;
pub use template::{CHAT_TEMPLATE_FILE, ChatTemplate, RENDER_DATE, TOKENIZER_CONFIG_FILE};

/// A chat template with the tokenizer that reads what it writes.
#[derive(Debug, Clone)]
pub struct ChatFormat {
    template: ChatTemplate,
    tokenizer: TemplateTokenizer,
}

impl ChatFormat {
    /// The format of a model by its files, or by `template`, the text of a template that stands in place of the model's own; none where
    /// there is neither.
    ///
    /// # Errors
    /// [`ChatError`] says which file cannot be read.
    pub fn of(files: &ModelFiles, template: Option<&str>) -> Result<Option<Self>, ChatError> {
        let template = ChatTemplate::of(
            files.tokenizer_config_json.as_deref(),
            files.chat_template_jinja.as_deref(),
            template,
        )?;
        let format = |template| {
            Ok(Self { template, tokenizer: TemplateTokenizer::from_bytes(&files.tokenizer_json)? })
        };
        template.map(format).transpose()
    }

    /// A chat as tokens, of which those of the assistant's turns are learned. `line` is where it stands, for errors.
    ///
    /// # Errors
    /// [`ChatError`] if the template refuses the chat or its turns cannot be told apart.
    pub fn sequence(
        &self,
        messages: &[Message],
        plain: &Tokenizer,
        line: usize,
    ) -> Result<Sequence<'static>, ChatError> {
        let messages = guarded(messages, self.tokenizer.control_tokens(), line)?;
        let written = Written::by(&self.template, &messages, line)?;
        let (mut tokens, mut counted) = (Vec::new(), Vec::new());
        for piece in pieces(&written.text) {
            match piece {
                Piece::Template { start, text } => {
                    for (id, at) in self.tokenizer.encode(text)? {
                        tokens.push(id);
                        counted.push(written.is_assistants(start + at.start));
                    }
                }
                Piece::Literal { start, text } => {
                    tokens.extend(plain.encode(text)?);
                    counted.resize(tokens.len(), written.is_assistants(start));
                }
            }
        }
        Ok(Sequence::rendered(tokens, counted))
    }
}

/// The files of a model that chats need, by name: those that it has.
pub fn chat_files(files: &ModelFiles) -> Vec<(&'static str, &[u8])> {
    let named = [
        (TOKENIZER_CONFIG_FILE, &files.tokenizer_config_json),
        (CHAT_TEMPLATE_FILE, &files.chat_template_jinja),
    ];
    named.into_iter().filter_map(|(name, bytes)| Some((name, bytes.as_deref()?))).collect()
}

/// The sequences of a text file, one for each privacy unit: plain text as it is, of JSON records the chats by `chat` and the values of
/// the others as plain text.
///
/// # Errors
/// [`DataError`] if the bytes are no text of this unit, or hold a chat that cannot be written.
pub fn text_sequences(
    bytes: &[u8],
    unit: PrivacyUnit,
    tokenizer: &Tokenizer,
    chat: Option<&ChatFormat>,
) -> Result<Vec<Sequence<'static>>, DataError> {
    let text = perturb::text::decode(bytes)?;
    if unit != PrivacyUnit::JsonRecord {
        let records = perturb::text::records(text, unit);
        return records.map(|record| Ok(Sequence::text(tokenizer.encode(&record?)?))).collect();
    }
    let sequence = |line, record| match (record, chat) {
        (JsonRecord::Chat { messages }, Some(chat)) => Ok(chat.sequence(&messages, tokenizer, line)?),
        (JsonRecord::Chat { .. }, None) => Err(ChatError::NoTemplate { line }.into()),
        (record, _) => Ok(Sequence::text(tokenizer.encode(&record.text())?)),
    };
    let sequences = perturb::text::json_records(text)
        .map(|record| record.map_err(DataError::from).and_then(|(line, record)| sequence(line, record)))
        .collect::<Result<Vec<_>, DataError>>()?;
    match sequences.iter().any(Sequence::teaches) || sequences.is_empty() {
        true => Ok(sequences),
        false => Err(ChatError::NoAssistant.into()),
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
