//! Text in three parts, as tokens.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use perturb::{PrivacyUnit, Tokenizer, text};

/// Where a corpus lies: `NAME:UNIT:TRAIN:VALIDATION:TEST`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name in tables.
    pub name: String,
    /// What one record is.
    pub unit: PrivacyUnit,
    files: [PathBuf; 3],
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [name, unit, train, validation, test] = parts[..] else {
            return Err("give NAME:UNIT:TRAIN:VALIDATION:TEST".into());
        };
        let unit = match unit {
            "line" => PrivacyUnit::Line,
            "paragraph" => PrivacyUnit::Paragraph,
            _ => return Err(format!("`{unit}` is no unit: give line or paragraph")),
        };
        Ok(Self { name: name.to_owned(), unit, files: [train, validation, test].map(PathBuf::from) })
    }
}

/// Records of token ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// What is perturbed and trained on.
    pub train: Vec<Vec<u32>>,
    /// What chooses the learning rate.
    pub validation: Vec<Vec<u32>>,
    /// What is looked at in the end.
    pub test: Vec<Vec<u32>>,
}

/// Tokens of validation and of test text: their mean loss then varies by about a hundredth of a nat.
const EVALUATION_TOKENS: [usize; 2] = [4_000, 8_000];

impl Corpus {
    /// Reads a corpus and keeps `train_tokens` tokens of training text.
    ///
    /// # Errors
    /// If a file cannot be read, is no text or is too short.
    pub fn read(source: &Source, tokenizer: &Tokenizer, train_tokens: usize) -> Result<Self> {
        let limits = [train_tokens, EVALUATION_TOKENS[0], EVALUATION_TOKENS[1]];
        let mut parts = source.files.iter().zip(limits).map(|(file, limit)| {
            let records = encode(file, source.unit, tokenizer)?;
            spread(records, limit).with_context(|| file.display().to_string())
        });
        let mut next = || parts.next().context("three files were given")?;
        Ok(Self { train: next()?, validation: next()?, test: next()? })
    }
}

fn encode(file: &Path, unit: PrivacyUnit, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let text = text::decode(&bytes)?;
    text::records(text, unit).map(|record| Ok(tokenizer.encode(&record?)?)).collect()
}

/// Records from all over the text, in its order, until there are `tokens` tokens: neighbours in a file are alike.
fn spread(records: Vec<Vec<u32>>, tokens: usize) -> Result<Vec<Vec<u32>>> {
    let all: usize = records.iter().map(Vec::len).sum();
    ensure!(all >= tokens, "has {all} tokens, and {tokens} are needed");
    let (mut kept, mut kept_tokens, mut seen) = (Vec::new(), 0, 0);
    for record in records {
        seen += record.len();
        // In proportion: after a share of the text, the same share of what is wanted.
        if kept_tokens * all < seen * tokens {
            kept_tokens += record.len();
            kept.push(record);
        }
    }
    Ok(kept)
}

#[cfg(test)]
#[path = "corpus_tests.rs"]
mod tests;
