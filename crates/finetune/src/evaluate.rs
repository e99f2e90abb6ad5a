//! Loss and perplexity of a model, with or without an adapter, over records.

use serde::{Deserialize, Serialize};

use crate::adapter::{Adapter, AdapterError};
use crate::model::BaseModel;
use crate::parallel::for_each_in_order;
use crate::records::Records;

/// How well a model predicts a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean of −ln p over the predicted tokens, in nats.
    pub loss: f64,
    /// `e^loss`
    pub perplexity: f64,
    /// Predicted tokens.
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
    let lora = adapter.map(|adapter| adapter.tensors(model)).transpose()?;
    let table = model.rope_table(records.longest_chunk().min(model.config().max_position_embeddings));
    let chunks: Vec<&Vec<u32>> = records.iter().flat_map(|record| record.chunks()).collect();
    let chunk_loss = |index: usize| -> Result<f64, AdapterError> {
        match model.weighted_loss(chunks[index], 1.0, &table, lora.as_ref())? {
            Some(loss) => Ok(f64::from(loss.to_scalar::<f32>().map_err(crate::model::ModelError::from)?)),
            None => Ok(0.0),
        }
    };
    let mut sum = 0.0;
    for_each_in_order(chunks.len(), threads, chunk_loss, |loss| sum += loss)?;
    let tokens = records.iter().map(|record| record.predicted_tokens()).sum();
    let loss = sum / tokens as f64;
    Ok(Evaluation { loss, perplexity: loss.exp(), tokens })
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
