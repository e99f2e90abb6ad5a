//! How much memory and arithmetic a run takes, told before it starts.
//!
//! ```text
//! packed weights (shared)  +  threads · workspace(longest sequence)  +  vectors of the adapter's size
//! ```
//!
//! The batch is in none of them: each thread runs one sequence at a time, so its size, which Poisson sampling makes random,
//! changes nothing.

use kernels::Panels;

use super::attention::QUERIES;
use super::head::HeadBuffers;
use super::packed::{Format, Use};
use crate::lora::LoraLayout;
use crate::model::ModelConfig;
use crate::model::architecture::Stage;
use crate::parallel::WINDOW_PER_THREAD;
use crate::records::{Chunk, Records};
use crate::train::{TrainError, TrainingConfig};

/// Bytes of an f32.
const F32: usize = 4;
/// Vectors of the adapter's size that a run holds besides the gradients in flight: values, two moments, the next state of all
/// three, the clipped sum in 16-byte integers, the release, and the adapter as the engine lays it out, twice.
const ADAPTER_VECTORS: usize = 3 + 3 + 4 + 1 + 4;

/// What a run needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The frozen weights, packed for the way there and the way back; shared by all threads and runs.
    pub weights: usize,
    /// The buffers of all threads together.
    pub workspaces: usize,
    /// Values, moments and gradients of the adapter.
    pub adapter: usize,
}

impl MemoryEstimate {
    /// For training `model` as `config` says, on this processor.
    ///
    /// # Errors
    /// [`TrainError`] if the adapter does not fit the model.
    pub fn of(model: &ModelConfig, config: &TrainingConfig) -> Result<Self, TrainError> {
        let format = Format::of(config.precision);
        let layout = LoraLayout::new(model, &config.lora)?;
        let gradients = config.threads * (WINDOW_PER_THREAD + 1);
        Ok(Self {
            weights: weights(model, format, Use::Training),
            workspaces: config.threads * workspace(model, &layout, format, config.max_length - 1),
            adapter: F32 * layout.parameters() * (ADAPTER_VECTORS + gradients),
        })
    }

    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.workspaces + self.adapter
    }
}

/// Floating-point operations of one pass over `records`: two for each weight and token on the way there and two on the way back
/// (the frozen weights have no gradient), those of attention over the tokens before, and those of the output head for targets
/// that count. What the channel correction computes besides is not in it.
pub fn operations(model: &ModelConfig, records: &Records) -> f64 {
    let stages = [Stage::QueryKeyValue, Stage::AttentionOutput, Stage::Up, Stage::Down];
    let weights: usize = stages.map(|stage| model.stage_widths(stage)).iter().map(|(i, o)| i * o).sum();
    let weights = (weights * model.num_hidden_layers) as f64;
    let head = (model.hidden_size * model.vocab_size) as f64;
    // Scores and output on the way there, twice that and the scores again on the way back, half of it masked.
    let attention = 7.0 * (model.query_width() * model.num_hidden_layers) as f64;
    let of_chunk = |chunk: &Chunk| {
        let (t, counted) = (chunk.inputs().len() as f64, chunk.counted_targets() as f64);
        4.0 * (weights * t + head * counted) + attention * t * t
    };
    records.iter().flat_map(|record| record.chunks()).map(of_chunk).sum()
}

/// Bytes of the packed model.
pub(super) fn weights(model: &ModelConfig, Format { isa, bf16 }: Format, purpose: Use) -> usize {
    let panels = |k: usize, n: usize| Panels::bytes_for(isa, k, n, bf16);
    let ways = |(input, output)| match purpose {
        Use::Inference => panels(input, output),
        Use::Training => panels(input, output) + panels(output, input),
    };
    let stages = [Stage::QueryKeyValue, Stage::AttentionOutput, Stage::Up, Stage::Down];
    let block: usize = stages.map(|stage| ways(model.stage_widths(stage))).iter().sum();
    let (hidden, vocabulary) = (model.hidden_size, model.vocab_size);
    let embeddings = panels(vocabulary, hidden);
    let head = match model.tie_word_embeddings {
        // The embeddings are the head's way back.
        true => panels(hidden, vocabulary),
        false => ways((hidden, vocabulary)),
    };
    let positions = model.names.positions.map_or(0, |_| F32 * model.max_position_embeddings * hidden);
    model.num_hidden_layers * block + embeddings + head + positions
}

/// Bytes of one thread's buffers after a sequence of `t` inputs.
pub(super) fn workspace(model: &ModelConfig, layout: &LoraLayout, format: Format, t: usize) -> usize {
    let (hidden, inner) = (model.hidden_size, model.intermediate_size);
    let (q, kv) = (model.query_width(), model.key_value_width());
    let (rows, up) = (q + 2 * kv, model.stage_widths(Stage::Up).1);
    let some = |name: Option<&str>, width: usize| name.map_or(0, |_| width);
    let names = &model.names;
    let low_rank = layout.entries().len() * layout.rank();
    let block = 2 * hidden
        + some(names.query_norm, q + kv)
        + rows
        + q
        + model.num_attention_heads
        + some(names.attention_post_norm, hidden)
        + up
        + some(names.feed_forward_post_norm, hidden);
    let tapes = t * (model.num_hidden_layers * block + low_rank);
    let shared = t * (hidden + inner + hidden.max(q) + rows.max(inner));
    let attention = 2 * QUERIES * t + 2 * model.head_dim * t;
    let widest = rows.max(up).max(hidden);
    let rounded = if format.bf16 { t * widest.div_ceil(2) } else { 0 };
    F32 * (2 * t * hidden + tapes + shared + attention + rounded) + HeadBuffers::bytes(model, format, t)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
