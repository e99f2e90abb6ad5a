//! The forward pass over runs of tokens, each continuing a cache of its own.
//!
//! All runs lie under each other in one matrix, a row for each token, so that the weights are read once. A row sees the cache
//! of its run and the rows of its run up to itself.

use std::ops::Range;
use std::sync::Arc;

use super::kernels::{add, attend, linear, rms_norm, rotate, swiglu};
use super::{KeyValueCache, LanguageModel, LanguageModelError, Layer};

/// Where the rows of one run see into: cells of the past, and the rows of the run.
struct Run {
    past: Vec<Arc<[f32]>>,
    rows: Range<usize>,
}

/// Keys and values of the rows of this pass: a cell each, as in a [`KeyValueCache`].
struct Fresh {
    values: Vec<f32>,
    cell_size: usize,
}

impl Fresh {
    fn cell(&self, row: usize) -> &[f32] {
        &self.values[row * self.cell_size..][..self.cell_size]
    }
}

impl LanguageModel {
    /// Reads more tokens into each cache; gives the logits `[vocabulary]` of the token after each run, in order.
    ///
    /// Runs are independent of each other. A run without tokens is one that nothing can be said of: its logits are empty.
    ///
    /// # Errors
    /// [`LanguageModelError::Token`], [`LanguageModelError::TooLong`] or [`LanguageModelError::ForeignCache`]; then no cache
    /// was changed.
    pub fn advance(
        &self,
        runs: &mut [(&mut KeyValueCache, &[u32])],
    ) -> Result<Vec<Vec<f32>>, LanguageModelError> {
        runs.iter().try_for_each(|(cache, tokens)| self.check_run(cache, tokens))?;
        let tokens: Vec<u32> = runs.iter().flat_map(|(_, tokens)| tokens.iter().copied()).collect();
        let mut first = 0;
        let places: Vec<Run> = runs
            .iter()
            .map(|(cache, tokens)| {
                let rows = first..first + tokens.len();
                first = rows.end;
                Run { past: cache.cells.clone(), rows }
            })
            .collect();
        let (hidden, fresh) = self.hidden_states(&tokens, &places);
        for ((cache, _), run) in runs.iter_mut().zip(&places) {
            cache.cells.extend(run.rows.clone().map(|row| Arc::from(fresh.cell(row))));
        }
        Ok(self.last_logits(&hidden, &places))
    }

    fn check_run(&self, cache: &KeyValueCache, tokens: &[u32]) -> Result<(), LanguageModelError> {
        let (length, limit) = (cache.len() + tokens.len(), self.config.max_position_embeddings);
        let vocab_size = self.vocab_size();
        if cache.cells.first().is_some_and(|cell| cell.len() != self.cell_size()) {
            Err(LanguageModelError::ForeignCache)
        } else if length > limit {
            Err(LanguageModelError::TooLong { length, limit })
        } else if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Err(LanguageModelError::Token { token, vocab_size })
        } else {
            Ok(())
        }
    }

    /// The rows after the last block, and their keys and values.
    fn hidden_states(&self, tokens: &[u32], runs: &[Run]) -> (Vec<f32>, Fresh) {
        let width = self.config.hidden_size;
        let mut x: Vec<f32> = tokens
            .iter()
            .flat_map(|&token| &self.embeddings[token as usize * width..][..width])
            .copied()
            .collect();
        let cell_size = self.cell_size();
        let mut fresh = Fresh { values: vec![0.0; tokens.len() * cell_size], cell_size };
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = rms_norm(&x, &layer.input_norm, self.config.rms_norm_eps);
            let attended = self.attention(layer, index, &normed, runs, &mut fresh);
            add(&mut x, &linear(&attended, &layer.output, self.config.query_width()));
            let normed = rms_norm(&x, &layer.post_attention_norm, self.config.rms_norm_eps);
            let mut inner = linear(&normed, &layer.gate, width);
            swiglu(&mut inner, &linear(&normed, &layer.up, width));
            add(&mut x, &linear(&inner, &layer.down, self.config.intermediate_size));
        }
        (x, fresh)
    }

    /// Attention of every row, before the output projection; leaves the rows' keys and values in `fresh`.
    fn attention(
        &self,
        layer: &Layer,
        index: usize,
        normed: &[f32],
        runs: &[Run],
        fresh: &mut Fresh,
    ) -> Vec<f32> {
        let (width, shared) = (self.config.query_width(), self.config.key_value_width());
        let mut queries = linear(normed, &layer.query, self.config.hidden_size);
        let mut keys = linear(normed, &layer.key, self.config.hidden_size);
        let values = linear(normed, &layer.value, self.config.hidden_size);
        let start = index * 2 * shared;
        for run in runs {
            for (position, row) in (run.past.len()..).zip(run.rows.clone()) {
                rotate(&mut queries[row * width..][..width], position, &self.frequencies);
                let key = &mut keys[row * shared..][..shared];
                rotate(key, position, &self.frequencies);
                let cell = &mut fresh.values[row * fresh.cell_size + start..][..2 * shared];
                cell[..shared].copy_from_slice(key);
                cell[shared..].copy_from_slice(&values[row * shared..][..shared]);
            }
        }
        let mut attended = vec![0.0; queries.len()];
        for run in runs {
            for row in run.rows.clone() {
                // What the row sees, itself last.
                let seen: Vec<&[f32]> = run
                    .past
                    .iter()
                    .map(|cell| &cell[start..][..2 * shared])
                    .chain((run.rows.start..=row).map(|row| &fresh.cell(row)[start..][..2 * shared]))
                    .collect();
                self.attend_row(
                    &queries[row * width..][..width],
                    &seen,
                    &mut attended[row * width..][..width],
                );
            }
        }
        attended
    }

    fn attend_row(&self, query: &[f32], seen: &[&[f32]], output: &mut [f32]) {
        let (dim, shared) = (self.config.head_dim, self.config.key_value_width());
        let group = self.config.num_attention_heads / self.config.num_key_value_heads;
        for (head, (query, output)) in query.chunks_exact(dim).zip(output.chunks_exact_mut(dim)).enumerate() {
            let from = head / group * dim;
            let keys = seen.iter().map(|cell| &cell[from..][..dim]);
            let values = seen.iter().map(|cell| &cell[shared + from..][..dim]);
            attend(query, keys, values, output);
        }
    }

    fn last_logits(&self, hidden: &[f32], runs: &[Run]) -> Vec<Vec<f32>> {
        let width = self.config.hidden_size;
        let last: Vec<f32> = runs
            .iter()
            .filter(|run| !run.rows.is_empty())
            .flat_map(|run| &hidden[(run.rows.end - 1) * width..][..width])
            .copied()
            .collect();
        let normed = rms_norm(&last, &self.final_norm, self.config.rms_norm_eps);
        let logits = linear(&normed, self.head(), width);
        let mut logits = logits.chunks_exact(self.vocab_size());
        let of_run = |run: &Run| if run.rows.is_empty() { None } else { logits.next() };
        runs.iter().map(of_run).map(|logits| logits.unwrap_or_default().to_vec()).collect()
    }
}

/// Turns logits into ln p of each token, in nats.
pub fn log_softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|logit| f64::from((logit - largest).exp())).sum();
    let shift = largest + total.ln() as f32;
    logits.iter_mut().for_each(|logit| *logit -= shift);
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
