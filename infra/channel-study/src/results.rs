//! One line of JSON a run.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::method::Method;

/// What is varied, but for learning rate and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Name of the corpus.
    pub corpus: String,
    /// How it was trained.
    pub method: Method,
    /// ε of a token; 0 where nothing was perturbed.
    pub epsilon: f64,
    /// Set size m; 0 where nothing was perturbed.
    pub neighbours: u32,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its cell.
    #[serde(flatten)]
    pub key: Key,
    /// 0 for a run that tunes.
    pub seed: u8,
    /// Largest step size.
    pub learning_rate: f64,
    /// Perplexity of clean validation text; none for a final run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Perplexity of clean test text; none for a run that tunes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// Tokens that were predicted in training.
    pub tokens: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Wall time.
    pub seconds: f64,
}

/// All runs so far, and the file that they are kept in.
#[derive(Debug)]
pub struct Results {
    file: PathBuf,
    runs: Vec<Run>,
}

impl Results {
    /// Reads the file if it is there.
    ///
    /// # Errors
    /// If it cannot be read, or a line is no run.
    pub fn open(file: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.with_context(|| format!("reading {}", file.display()))?,
        };
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).with_context(|| format!("line {} of {}", index + 1, file.display()))
        };
        let runs = text.lines().enumerate().map(parse).collect::<Result<_>>()?;
        Ok(Self { file: file.to_owned(), runs })
    }

    /// Appends a run to the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, run: Run) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file)?;
        writeln!(file, "{}", serde_json::to_string(&run)?)?;
        self.runs.push(run);
        Ok(())
    }

    /// All runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The run of a cell with this seed and learning rate.
    pub fn find(&self, key: &Key, seed: u8, learning_rate: f64) -> Option<&Run> {
        self.runs.iter().find(|run| run.key == *key && run.seed == seed && run.learning_rate == learning_rate)
    }

    /// Test perplexities of a cell, one a seed.
    pub fn tests(&self, key: &Key) -> Vec<f64> {
        self.runs.iter().filter(|run| run.key == *key).filter_map(|run| run.test).collect()
    }

    /// Names of the corpora, in the order of their first run.
    pub fn corpora(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.key.corpus) {
                names.push(run.key.corpus.clone());
            }
        }
        names
    }

    /// Each corpus with each of its set sizes: what has a table and a panel of its own.
    pub fn panels(&self) -> Vec<(String, u32)> {
        let sizes = |corpus: String| self.set_sizes(&corpus).into_iter().map(move |m| (corpus.clone(), m));
        self.corpora().into_iter().flat_map(sizes).collect()
    }

    /// Values of ε of perturbed runs, ascending.
    pub fn epsilons(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.runs.iter().map(|run| run.key.epsilon).filter(|e| *e > 0.0).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// Set sizes of the final runs on a corpus when it was perturbed, ascending.
    pub fn set_sizes(&self, corpus: &str) -> Vec<u32> {
        let runs = self.runs.iter().filter(|run| run.key.corpus == corpus && run.test.is_some());
        let mut values: Vec<u32> = runs.map(|run| run.key.neighbours).filter(|m| *m > 0).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Mean and standard deviation (n − 1) of some values; none of none.
pub fn summary(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((mean, if n > 1.0 { (square / (n - 1.0)).sqrt() } else { 0.0 }))
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
