//! Why a chat cannot be trained on.

use perturb::{Shown, TokenizerError};

/// A chat template that cannot be used, or a chat that it cannot write. No error repeats a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The data has a chat and the model has no template.
    #[error(
        "line {line} is a chat, but this model has no chat template: choose a model whose tokenizer_config.json or \
         chat_template.jinja has one, or give one with --chat-template FILE"
    )]
    NoTemplate {
        /// The line, from 1.
        line: usize,
    },
    /// `tokenizer_config.json` is not what Hugging Face writes.
    #[error("tokenizer_config.json cannot be used: {}", Shown(.0))]
    Config(String),
    /// The template is not Jinja that is understood.
    #[error("the chat template cannot be read: {}", Shown(.0))]
    Template(String),
    /// The template failed, or raised an exception, as many do where roles do not alternate.
    #[error("the chat template does not take the chat on line {line}: {}", Shown(.reason))]
    Refused {
        /// The line, from 1.
        line: usize,
        /// The template's own words, or the place in it where it failed.
        reason: String,
    },
    /// What the template wrote of a chat's beginning is not the beginning of what it wrote of all of it.
    #[error(
        "the chat template rewrites earlier turns, so that message {message} of the chat on line {line} cannot be told \
         apart: mark what the assistant says with {{% generation %}} in a template of your own (--chat-template FILE), \
         or cut chats to one answer each"
    )]
    NotPrefixStable {
        /// The line, from 1.
        line: usize,
        /// The message, from 1.
        message: usize,
    },
    /// A character that marks places while a chat is written.
    #[error(
        "the chat on line {line} holds one of the characters U+FDD0 to U+FDD3, which Unicode reserves for programs: \
         remove it"
    )]
    Reserved {
        /// The line, from 1.
        line: usize,
    },
    /// Only the assistant's turns are learned, and there is none.
    #[error(
        "no chat in the data has an assistant's turn, and nothing else is learned of a chat: add the answers"
    )]
    NoAssistant,
    /// The text cannot be encoded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}
