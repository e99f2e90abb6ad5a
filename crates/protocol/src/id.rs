//! Validated names. Each is a newtype that can only be built, or deserialised, from a string that is safe inside an object key.
//!
//! Identifiers that we hand out are a prefix and 24 hexadecimal digits (96 bits): made from OS randomness by the caller, or, where a retry must
//! find the same name again, from a hash ([`FileId::derived`]).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{kind}` is not valid: expected {expected}")]
pub struct InvalidId {
    /// What the name was for, for example `file id`.
    pub kind: &'static str,
    /// What a valid name looks like.
    pub expected: &'static str,
}

/// Random bytes that make an identifier: 96 bits, so that a billion of them collide with probability under 1e-10.
pub type IdEntropy = [u8; 12];

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// [`InvalidId`] when `text` has another form.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId { kind: $kind, expected: $expected }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new identifier from fresh randomness.
            pub fn from_entropy(entropy: IdEntropy) -> Self {
                Self(concat!($prefix, "-").to_owned() + &hex::encode(entropy))
            }

            /// The identifier that belongs to `parts`, the same at every call: a retried write finds what it wrote before.
            pub fn derived(parts: &[&str]) -> Self {
                Self::from_entropy(derived_entropy($prefix, parts))
            }
        }
    };
}

string_id!(
    /// A customer: the owner of files and jobs.
    TenantId, "tenant", "1 to 40 lower-case letters, digits or hyphens", |t| is_slug(t, 40));
string_id!(
    /// A file: `file-` and 24 hexadecimal digits.
    FileId, "file id", "`file-` and 24 hexadecimal digits", |t| is_prefixed_hex(t, "file-"));
string_id!(
    /// A fine-tuning job: `ftjob-` and 24 hexadecimal digits.
    JobId, "job id", "`ftjob-` and 24 hexadecimal digits", |t| is_prefixed_hex(t, "ftjob-"));
string_id!(
    /// An upload in parts: `upload-` and 24 hexadecimal digits.
    UploadId, "upload id", "`upload-` and 24 hexadecimal digits", |t| is_prefixed_hex(t, "upload-"));
string_id!(
    /// One part of an upload: `part-` and 24 hexadecimal digits.
    PartId, "part id", "`part-` and 24 hexadecimal digits", |t| is_prefixed_hex(t, "part-"));
string_id!(
    /// A base model's name in this service.
    ModelId, "model", "1 to 96 letters, digits, `.`, `_` or `-`, starting with a letter or digit", is_model_name);

random_id!(FileId, "file");
random_id!(JobId, "ftjob");
random_id!(UploadId, "upload");
random_id!(PartId, "part");

/// The longest file name that is kept; what most file systems allow.
pub const MAX_FILENAME_BYTES: usize = 255;

/// A file's name as its owner knows it. It is metadata only and never part of an object key, yet path tricks are refused
/// because a client may save a download under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filename(String);

impl Filename {
    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// [`InvalidId`] when the name is empty, too long, holds a path separator or control character, or is `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let bad = |c: char| c == '/' || c == '\\' || c == ':' || c.is_control();
        if text.trim().is_empty()
            || text.len() > MAX_FILENAME_BYTES
            || text.chars().any(bad)
            || matches!(text, "." | "..")
        {
            return Err(InvalidId {
                kind: "filename",
                expected: "a plain file name of at most 255 bytes without `/`, `\\`, `:` or control characters",
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Filename {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<Filename> for String {
    fn from(name: Filename) -> String {
        name.0
    }
}

fn is_slug(text: &str, longest: usize) -> bool {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=longest).contains(&text.len()) && text.chars().all(valid)
}

fn is_prefixed_hex(text: &str, prefix: &str) -> bool {
    let is_lower_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 24 && rest.chars().all(is_lower_hex))
}

fn is_model_name(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=96).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(valid)
        && !text.contains("..")
}

/// SHA-256 over length-prefixed parts, so that different part lists never hash the same text.
fn derived_entropy(prefix: &str, parts: &[&str]) -> IdEntropy {
    let mut hash = Sha256::new();
    for part in std::iter::once(&prefix).chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut entropy = IdEntropy::default();
    entropy.copy_from_slice(&hash.finalize()[..12]);
    entropy
}

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
