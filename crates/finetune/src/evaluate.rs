//! Loss and perplexity of a model, with or without an adapter, over records.

use serde::{Deserialize, Serialize};

use crate::adapter::{Adapter, AdapterError};
use crate::engine::{Format, PackedEngine, Use};
use crate::model::BaseModel;
use crate::parallel::for_each_in_order;
use crate::records::{Chunk, Records};
use crate::train::Precision;

/// How well a model predicts a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean of −ln p over the targets that count, in nats; not a number where there are none.
    pub loss: f64,
    /// `e^loss`
    pub perplexity: f64,
    /// Targets that count: of a chat the assistant's tokens, else all that are predicted.
    pub tokens: usize,
}

/// Evaluates a model on records; the result does not depend on `threads`.
///
/// The number is exact, not noised: evaluating on the owner's own records is a release that no budget covers.
///
/// # Errors
/// [`AdapterError`] if the adapter does not fit the model or a record is longer than its positions.
pub fn evaluate(
    model: &BaseModel,
    adapter: Option<&Adapter>,
    records: &Records,
    threads: usize,
) -> Result<Evaluation, AdapterError> {
    let positions = records.longest_chunk().min(model.config().max_position_embeddings);
    let packed = model.packed(Format::of(Precision::F32), Use::Inference, threads)?;
    let engine = PackedEngine::for_adapter(packed, adapter, positions)?;
    let chunks: Vec<&Chunk> = records.iter().flat_map(|record| record.chunks()).collect();
    let chunk_loss =
        |index: usize| -> Result<f64, AdapterError> { Ok(engine.chunk(chunks[index], 1.0, None)?) };
    let mut sum = 0.0;
    for_each_in_order(chunks.len(), threads, chunk_loss, |loss| sum += loss)?;
    let tokens = records.iter().map(|record| record.predicted_tokens()).sum();
    let loss = sum / tokens as f64;
    Ok(Evaluation { loss, perplexity: loss.exp(), tokens })
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
