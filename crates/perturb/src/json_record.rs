//! One line of a JSONL file: the shapes that are understood.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::InputError;

/// One line of a JSONL file: the values that hold text, and a public shape around them.
///
/// What is not one of these values is not kept, so nothing of it can pass in clear; a role must be one of those that chat
/// models know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JsonRecord {
    /// `{"text": …}`.
    Text {
        /// The record's text.
        text: String,
    },
    /// `{"prompt": …, "completion": …}`.
    Prompt {
        /// What is asked.
        prompt: String,
        /// What is answered.
        completion: String,
    },
    /// `{"messages": [{"role": …, "content": …}]}`.
    Chat {
        /// The messages in order.
        messages: Vec<Message>,
    },
}

/// One message of a chat.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// The roles that chat formats have. A role passes in clear, so there is no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one who sets the rules.
    System,
    /// The same, in newer formats.
    Developer,
    /// The one who asks.
    #[default]
    User,
    /// The one who answers.
    Assistant,
    /// What a tool answered.
    Tool,
}

impl std::fmt::Debug for JsonRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text must not reach a log.
        f.write_str("JsonRecord")
    }
}

impl JsonRecord {
    /// Reads the line with that number.
    ///
    /// # Errors
    /// [`InputError::Json`] or [`InputError::JsonShape`]; they name the line and nothing of its content.
    pub fn parse(raw: &str, line: usize) -> Result<Self, InputError> {
        let value: Value =
            serde_json::from_str(raw).map_err(|error| InputError::Json { line, column: error.column() })?;
        record_of(&value).ok_or(InputError::JsonShape { line })
    }

    /// The values that are not blank, joined by line breaks: the record as plain text.
    pub fn text(&self) -> String {
        let filled: Vec<&str> = self.values().into_iter().filter(|value| !value.trim().is_empty()).collect();
        filled.join("\n")
    }

    fn values(&self) -> Vec<&str> {
        match self {
            Self::Text { text } => vec![text],
            Self::Prompt { prompt, completion } => vec![prompt, completion],
            Self::Chat { messages } => messages.iter().map(|message| message.content.as_str()).collect(),
        }
    }

    /// The values that hold text, in order.
    pub fn values_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Text { text } => vec![text],
            Self::Prompt { prompt, completion } => vec![prompt, completion],
            Self::Chat { messages } => messages.iter_mut().map(|message| &mut message.content).collect(),
        }
    }
}

fn record_of(value: &Value) -> Option<JsonRecord> {
    let string = |value: &Value, key| Some(value.get(key)?.as_str()?.to_owned());
    if value.get("text").is_some() {
        return Some(JsonRecord::Text { text: string(value, "text")? });
    }
    if value.get("prompt").is_some() {
        let completion = string(value, "completion")?;
        return Some(JsonRecord::Prompt { prompt: string(value, "prompt")?, completion });
    }
    let message = |message: &Value| {
        let role = match message.get("role") {
            None => Role::default(),
            Some(role) => serde_json::from_value(role.clone()).ok()?,
        };
        Some(Message { role, content: string(message, "content")? })
    };
    let messages = value.get("messages")?.as_array()?.iter().map(message).collect::<Option<_>>()?;
    Some(JsonRecord::Chat { messages })
}
