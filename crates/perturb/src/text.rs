//! The owner's file as text and as records.
//!
//! [`decode`] says what is wrong with a file before any work is done on it; [`records`] cuts the text into privacy units.
//! No error repeats the text: it names bytes and lines.

use std::borrow::Cow;

use dp::PrivacyUnit;

pub use crate::json_record::{JsonRecord, Message, Role};

/// The service's limit for a file: 20 MiB.
pub const MAX_TEXT_BYTES: usize = 20 * 1024 * 1024;
/// No record is longer: the trainer cuts records to a few thousand tokens anyway, and a file without line breaks is more
/// likely a mistake than one record.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// What some editors put in front of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why a file cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Over [`MAX_TEXT_BYTES`].
    #[error(
        "the file has {bytes} bytes, and at most {MAX_TEXT_BYTES} (20 MiB) are taken: split it into several files"
    )]
    TooLarge {
        /// Size of the file.
        bytes: usize,
    },
    /// No text at all.
    #[error("the file has no text: give a text file with at least one record that is not blank")]
    Empty,
    /// Not UTF-8.
    #[error("the file is not UTF-8 text (byte {offset}): save it as UTF-8 and try again")]
    NotUtf8 {
        /// Position of the first byte that does not fit, from 0.
        offset: usize,
    },
    /// A NUL byte.
    #[error("the file looks like a binary file (a zero byte at position {offset}): give a plain text file")]
    Binary {
        /// Position of the first NUL byte, from 0.
        offset: usize,
    },
    /// A record over [`MAX_RECORD_BYTES`].
    #[error(
        "the record at line {line} has {bytes} bytes, and at most {MAX_RECORD_BYTES} (1 MiB) are taken: \
         split it into lines or paragraphs"
    )]
    RecordTooLarge {
        /// Line on which it starts, from 1.
        line: usize,
        /// Its size.
        bytes: usize,
    },
    /// A line of a JSONL file that is no JSON value.
    #[error("line {line} is not valid JSON (column {column}): each line must be one JSON object")]
    Json {
        /// The line, from 1.
        line: usize,
        /// Where in it, from 1.
        column: usize,
    },
    /// A JSON value of another shape than those that are understood.
    #[error(
        "line {line} is not one of {{\"text\": …}}, {{\"prompt\": …, \"completion\": …}} and \
         {{\"messages\": [{{\"role\": …, \"content\": …}}]}}, with strings as values and system, developer, user, \
         assistant or tool as roles"
    )]
    JsonShape {
        /// The line, from 1.
        line: usize,
    },
}

/// Checks that `bytes` are text of an acceptable size; strips a byte-order mark.
///
/// # Errors
/// An [`InputError`] that says what to do: too large, not UTF-8, binary, or nothing but white space.
pub fn decode(bytes: &[u8]) -> Result<&str, InputError> {
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(InputError::TooLarge { bytes: bytes.len() });
    }
    if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
        return Err(InputError::Binary { offset });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| InputError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim().is_empty() { Err(InputError::Empty) } else { Ok(text) }
}

/// Cuts `text` into its records, in order, without the blank ones.
///
/// A line loses its line break (`\n` or `\r\n`) and nothing else; a paragraph keeps the breaks inside. Of a JSON record only
/// these values are taken: `text`, or `prompt` and `completion`, or the `content` of every message, joined by line breaks.
///
/// The iterator ends after its first error.
pub fn records(text: &str, unit: PrivacyUnit) -> Records<'_> {
    Records::resume(text, unit, Cursor::default())
}

/// The JSON records of `text` with their shape and the number of their line (from 1): exactly those that [`records`] cuts out.
///
/// The iterator ends after its first error.
pub fn json_records(text: &str) -> impl Iterator<Item = Result<(usize, JsonRecord), InputError>> {
    let mut lines = Records::resume(text, PrivacyUnit::JsonRecord, Cursor::default());
    std::iter::from_fn(move || {
        loop {
            let (line, _, raw) = lines.filled_line()?;
            let record = match raw.len() > MAX_RECORD_BYTES {
                true => too_large(line, raw),
                false => JsonRecord::parse(raw, line),
            };
            match record {
                Ok(record) if record.text().trim().is_empty() => continue,
                Ok(record) => return Some(Ok((line, record))),
                Err(error) => {
                    lines.cursor.bytes = text.len();
                    return Some(Err(error));
                }
            }
        }
    })
}

fn too_large<T>(line: usize, raw: &str) -> Result<T, InputError> {
    Err(InputError::RecordTooLarge { line, bytes: raw.len() })
}

/// Where to cut `bytes` into at most `parts` pieces of about the same size, each of whole records: the end of each piece, the last of them
/// being the length. Each piece is a file of its own, and together they have the records of the whole.
///
/// # Errors
/// What is wrong with the file, as [`decode`] and [`records`] say it.
pub fn split(bytes: &[u8], unit: PrivacyUnit, parts: usize) -> Result<Vec<usize>, InputError> {
    let text = decode(bytes)?;
    // A byte-order mark is before the text.
    let start = bytes.len() - text.len();
    let (mut ends, mut filled) = (Vec::new(), false);
    let mut records = records(text, unit);
    while let Some(record) = records.next() {
        record?;
        filled = true;
        let at = records.cursor().bytes;
        // A piece that began with a byte-order mark would lose it, and its records would be others.
        let marked = text[at..].starts_with(BYTE_ORDER_MARK);
        if at < text.len() && !marked && at * parts >= text.len() * (ends.len() + 1) && ends.len() + 1 < parts
        {
            ends.push(start + at);
            filled = false;
        }
    }
    // Blank lines behind the last record are no piece of their own.
    if !filled {
        ends.pop();
    }
    ends.push(bytes.len());
    Ok(ends)
}

/// Iterator over the records of a text: see [`records`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    text: &'a str,
    unit: PrivacyUnit,
    cursor: Cursor,
}

/// How far into a text its records have been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Bytes read.
    pub(crate) bytes: usize,
    /// Lines read.
    pub(crate) lines: usize,
}

impl<'a> Records<'a> {
    /// Goes on where a cursor of the same text and unit stopped.
    pub(crate) fn resume(text: &'a str, unit: PrivacyUnit, cursor: Cursor) -> Self {
        Self { text, unit, cursor }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next line without its break.
    fn line(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.cursor.bytes..];
        if rest.is_empty() {
            return None;
        }
        let (line, taken) =
            rest.split_once('\n').map_or((rest, rest.len()), |(line, _)| (line, line.len() + 1));
        self.cursor = Cursor { bytes: self.cursor.bytes + taken, lines: self.cursor.lines + 1 };
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The next line that is not blank, as its number from 1, its first byte and its text.
    fn filled_line(&mut self) -> Option<(usize, usize, &'a str)> {
        loop {
            let start = self.cursor.bytes;
            let line = self.line()?;
            if !line.trim().is_empty() {
                return Some((self.cursor.lines, start, line));
            }
        }
    }

    /// The next run of lines that are not blank, with the number of its first line.
    fn paragraph(&mut self) -> Option<(usize, &'a str)> {
        let (number, start, line) = self.filled_line()?;
        let mut end = start + line.len();
        let mut next_start = self.cursor.bytes;
        while let Some(line) = self.line().filter(|line| !line.trim().is_empty()) {
            end = next_start + line.len();
            next_start = self.cursor.bytes;
        }
        Some((number, &self.text[start..end]))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Cow<'a, str>, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (line, raw) = match self.unit {
                PrivacyUnit::Line | PrivacyUnit::JsonRecord => {
                    let (number, _, line) = self.filled_line()?;
                    (number, line)
                }
                PrivacyUnit::Paragraph => self.paragraph()?,
            };
            let record = match self.unit {
                _ if raw.len() > MAX_RECORD_BYTES => too_large(line, raw),
                PrivacyUnit::Line | PrivacyUnit::Paragraph => Ok(Cow::Borrowed(raw)),
                PrivacyUnit::JsonRecord => JsonRecord::parse(raw, line).map(|record| record.text().into()),
            };
            match record {
                Ok(record) if record.trim().is_empty() => continue,
                Err(error) => {
                    self.cursor.bytes = self.text.len();
                    return Some(Err(error));
                }
                Ok(record) => return Some(Ok(record)),
            }
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
