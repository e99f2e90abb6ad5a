//! What must hold of every error that is shown to a person.

use std::fmt::{Debug, Display};

/// Longest line that an error may be.
const MAX_ERROR_BYTES: usize = 2000;

/// Gives back the value of a result whose error is fit to be shown.
///
/// # Panics
/// If the error is blank, over 2,000 bytes or holds a control character (a line break among them): what was read may be a
/// stranger's, and a terminal obeys what it is shown.
pub fn shown<T, E: Display + Debug>(result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.trim().is_empty(), "an error without words: {error:?}");
            assert!(line.len() <= MAX_ERROR_BYTES, "an error of {} bytes: {line:.200}…", line.len());
            assert!(!line.contains(char::is_control), "an error with a control character: {line:?}");
            None
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
