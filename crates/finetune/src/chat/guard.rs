//! Control tokens in a message are text: they are marked before the template sees them and read apart after it.
//!
//! A mark is a noncharacter, which no text for interchange holds (Unicode, section 23.7). Marks stand around a token's text, so whatever
//! a template does with a content as a whole (trim it, join it, print it) leaves them where they belong.

use std::collections::HashSet;

use perturb::text::Message;

use super::ChatError;

/// Before the text of a control token in a message.
const LITERAL: char = '\u{fdd0}';
/// After it.
const LITERAL_END: char = '\u{fdd1}';
/// Before what a template says the assistant said.
pub(super) const TURN: char = '\u{fdd2}';
/// After it.
pub(super) const TURN_END: char = '\u{fdd3}';

/// The messages with marks around every control token in a content.
pub(super) fn guarded(
    messages: &[Message],
    control_tokens: &[String],
    line: usize,
) -> Result<Vec<Message>, ChatError> {
    let guard = |message: &Message| {
        if message.content.contains([LITERAL, LITERAL_END, TURN, TURN_END]) {
            return Err(ChatError::Reserved { line });
        }
        Ok(Message { role: message.role, content: guard(&message.content, control_tokens) })
    };
    messages.iter().map(guard).collect()
}

fn guard(content: &str, control_tokens: &[String]) -> String {
    // Of Llama 3's 256 control tokens all begin alike: most of a content is skipped over by one look.
    let first_characters: HashSet<char> = control_tokens.iter().filter_map(|t| t.chars().next()).collect();
    let mut guarded = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find(|character| first_characters.contains(&character)) {
        guarded.push_str(&rest[..at]);
        rest = &rest[at..];
        let found =
            control_tokens.iter().filter(|token| !token.is_empty() && rest.starts_with(token.as_str()));
        match found.map(String::len).max() {
            Some(length) => {
                guarded.push(LITERAL);
                guarded.push_str(&rest[..length]);
                guarded.push(LITERAL_END);
                rest = &rest[length..];
            }
            None => {
                let length = rest.chars().next().map_or(0, char::len_utf8);
                guarded.push_str(&rest[..length]);
                rest = &rest[length..];
            }
        }
    }
    guarded.push_str(rest);
    guarded
}

/// A part of what a template wrote, with the byte at which it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Control tokens in it are the template's.
    Template {
        /// First byte in the whole.
        start: usize,
        /// The part.
        text: &'a str,
    },
    /// A control token's text in a message.
    Literal {
        /// First byte in the whole.
        start: usize,
        /// The part.
        text: &'a str,
    },
}

/// Cuts a text at its marks. Where a template tore a pair apart, the rest up to the next mark is a literal: the safe side.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut literal, mut start) = (Vec::new(), false, 0);
    let marks = text.match_indices([LITERAL, LITERAL_END]).chain([(text.len(), "")]);
    for (at, mark) in marks {
        let part = &text[start..at];
        if !part.is_empty() {
            pieces.push(match literal {
                true => Piece::Literal { start, text: part },
                false => Piece::Template { start, text: part },
            });
        }
        literal = mark.starts_with(LITERAL);
        start = at + mark.len();
    }
    pieces
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
