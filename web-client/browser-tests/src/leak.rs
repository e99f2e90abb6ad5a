//! Searches what was sent for the original text.
//!
//! A text leaked if any window of [`WINDOW`] consecutive words, or of as many consecutive tokens, lies in the sent bytes in one of the forms
//! that a careless page would send: UTF-8 or UTF-16, percent- or form-encoded, escaped in JSON, base64; token ids as 16- or 32-bit numbers of
//! either byte order, as LEB128, or as decimal text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{HashMap, HashSet};

/// Consecutive words, or tokens, that make a leak. Shorter ones occur by chance, since some tokens stay what they were.
pub const WINDOW: usize = 4;

/// Base64 runs shorter than this cannot hold a window of words.
const SHORTEST_BASE64: usize = 16;

/// Where a window of the original was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The form it was sent in.
    pub form: &'static str,
    /// The original words, or token ids, joined by spaces.
    pub original: String,
}

/// Finds original words in sent bytes, in any of the known forms.
pub fn find_words(text: &str, sent: &[u8]) -> Vec<Leak> {
    let windows = WordWindows::new(text);
    let mut leaks: Vec<Leak> = Vec::new();
    for (form, text) in forms_of(sent) {
        for leak in windows.found_in(form, &text) {
            // Plain text is found in several forms at once; the first one names it.
            if leaks.iter().all(|known| known.original != leak.original) {
                leaks.push(leak);
            }
        }
    }
    leaks
}

/// Finds original token ids in sent bytes.
pub fn find_tokens(ids: &[u32], sent: &[u8]) -> Vec<Leak> {
    let mut leaks: Vec<Leak> =
        TOKEN_FORMS.iter().flat_map(|&(form, encode)| find_encoded(ids, sent, form, encode)).collect();
    // "1, 2, 3, 4" is found as words; so is any other text of numbers.
    leaks.extend(find_words(&joined(ids), sent));
    leaks
}

type Encode = fn(u32) -> Vec<u8>;

const TOKEN_FORMS: [(&str, Encode); 5] = [
    ("tokens, 16 bits little-endian", |id| (id as u16).to_le_bytes().to_vec()),
    ("tokens, 16 bits big-endian", |id| (id as u16).to_be_bytes().to_vec()),
    ("tokens, 32 bits little-endian", |id| id.to_le_bytes().to_vec()),
    ("tokens, 32 bits big-endian", |id| id.to_be_bytes().to_vec()),
    ("tokens, LEB128", leb128),
];

/// Windows of fewer bytes, which only LEB128 makes, are passed over: any upload of some size holds them by chance.
const SHORTEST_TOKEN_BYTES: usize = 6;

fn find_encoded(ids: &[u32], sent: &[u8], form: &'static str, encode: Encode) -> Vec<Leak> {
    let mut seen_by_length: HashMap<usize, HashSet<&[u8]>> = HashMap::new();
    let mut leaks = Vec::new();
    for window in ids.windows(WINDOW) {
        let bytes: Vec<u8> = window.iter().flat_map(|&id| encode(id)).collect();
        let seen = seen_by_length.entry(bytes.len()).or_insert_with(|| sent.windows(bytes.len()).collect());
        if bytes.len() >= SHORTEST_TOKEN_BYTES && seen.contains(bytes.as_slice()) {
            leaks.push(Leak { form, original: joined(window) });
        }
    }
    leaks
}

/// An id as the container has it: seven bits a byte, the lowest first.
pub fn leb128(mut id: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while id >= 0x80 {
        bytes.push(id as u8 | 0x80);
        id >>= 7;
    }
    bytes.push(id as u8);
    bytes
}

fn joined(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

struct WordWindows(HashSet<String>);

impl WordWindows {
    fn new(text: &str) -> Self {
        Self(words(text).windows(WINDOW).map(|window| window.join(" ")).collect())
    }

    fn found_in(&self, form: &'static str, text: &str) -> Vec<Leak> {
        let words = words(text);
        let found = words.windows(WINDOW).map(|window| window.join(" "));
        found.filter(|window| self.0.contains(window)).map(|original| Leak { form, original }).collect()
    }
}

/// Words without case and punctuation, so that neither hides a leak.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// The sent bytes as text, in every form.
fn forms_of(sent: &[u8]) -> Vec<(&'static str, String)> {
    let plain = String::from_utf8_lossy(sent).into_owned();
    let decoded = percent_decoded(sent);
    let mut forms = vec![
        ("UTF-8", plain.clone()),
        ("percent-encoded", String::from_utf8_lossy(&decoded).into_owned()),
        ("JSON-escaped", json_unescaped(&plain)),
        ("base64", base64_decoded(sent)),
    ];
    for start in 0..2.min(sent.len()) {
        let units = |from: fn([u8; 2]) -> u16| {
            let units: Vec<u16> =
                sent[start..].chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        };
        forms.push(("UTF-16 little-endian", units(u16::from_le_bytes)));
        forms.push(("UTF-16 big-endian", units(u16::from_be_bytes)));
    }
    forms
}

fn percent_decoded(sent: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = &after[2..];
            }
            _ => {
                decoded.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    decoded
}

/// Turns `\n`, `\t` and `\u0041` into what they stand for; other escapes lose their backslash.
fn json_unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(hex) = rest.strip_prefix('u').and_then(|rest| rest.get(..4))
            && let Ok(unit) = u32::from_str_radix(hex, 16)
        {
            plain.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &rest[5..];
        } else if rest.starts_with(['n', 't', 'r']) {
            plain.push(' ');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    plain
}

/// Every run of base64 digits, decoded from each of the four places that a code may start at.
fn base64_decoded(sent: &[u8]) -> String {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let mut text = String::new();
    for run in sent.split(|byte| !is_digit(byte)).filter(|run| run.len() >= SHORTEST_BASE64) {
        for start in 0..4 {
            let run = &run[start..];
            let whole = &run[..run.len() / 4 * 4];
            let bytes = STANDARD_NO_PAD.decode(whole).or_else(|_| URL_SAFE_NO_PAD.decode(whole));
            text.push_str(&String::from_utf8_lossy(&bytes.unwrap_or_default()));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
#[path = "leak_tests.rs"]
mod tests;
