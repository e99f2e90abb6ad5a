//! Why an attack cannot be run.

use crate::TokenizerError;
use crate::language_model::LanguageModelError;

/// What does not fit together. No text is repeated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// The record and its perturbed form have different lengths.
    #[error(
        "a record has {original} tokens and its perturbed form {observed}: give both forms of the same record"
    )]
    Lengths {
        /// Tokens of the record.
        original: usize,
        /// Tokens of its perturbed form.
        observed: usize,
    },
    /// An item that the channel does not have.
    #[error(
        "the item {item} is not one of the channel's {items}: give items of the channel's own vocabulary"
    )]
    Item {
        /// The item.
        item: u32,
        /// Items of the channel.
        items: usize,
    },
    /// A perturbed id that the channel cannot give.
    #[error(
        "the perturbed token {0} is not of the channel's vocabulary: give text that this channel perturbed"
    )]
    Output(u32),
    /// Likelihood, prior and language model speak of different vocabularies.
    #[error("the {part} has {found} items and the channel {items}: make it for this channel")]
    Items {
        /// Which part.
        part: &'static str,
        /// Its items.
        found: usize,
        /// Items of the channel.
        items: usize,
    },
    /// A likelihood that is none.
    #[error(
        "the likelihood of output {output} names an item twice or not of the vocabulary, or is no number: correct it"
    )]
    Likelihood {
        /// The output.
        output: u32,
    },
    /// Nothing to attack.
    #[error(
        "there are no tokens to attack: give at least one record that is not empty, and allow at least one token"
    )]
    Empty,
    /// An option out of range.
    #[error("{name} is {value}, and must be {range}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The attack was asked for its result too early.
    #[error("{left} tokens are not yet attacked: step on before finishing")]
    Unfinished {
        /// Tokens left.
        left: usize,
    },
    /// The language model failed.
    #[error(transparent)]
    Model(#[from] LanguageModelError),
    /// A word cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Refuses a part of another size than the channel.
pub(super) fn check_items(part: &'static str, found: usize, items: usize) -> Result<(), AttackError> {
    if found == items { Ok(()) } else { Err(AttackError::Items { part, found, items }) }
}
