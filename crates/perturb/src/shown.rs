//! Words of a stranger's file inside a line of an error.

use std::fmt;

/// Longest piece of a file that an error repeats, in characters.
const LONGEST: usize = 300;

/// Shows text that came from outside in one short line: control characters, which a terminal would obey and which would
/// break the line, become U+FFFD, and what is longer than 300 characters ends in `…`.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        let safe = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let line: String = characters.by_ref().take(LONGEST).map(safe).collect();
        f.write_str(&line)?;
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
