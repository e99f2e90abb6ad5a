//! The gradient of one record, behind a trait so that engines can be exchanged and compared.

use std::sync::Arc;

use candle_core::Tensor;

use crate::channel::{ChannelCorrection, Context, ContextEmbeddings};
use crate::lora::{LoraLayout, LoraTensors};
use crate::model::{BaseModel, ModelError};
use crate::ops::{self, RopeTable, matrix::add_scaled};
use crate::records::{Chunk, Record};

/// Computes the gradient of one record's loss with respect to all LoRA values.
///
/// The loss of a record is the mean over all its targets that count, whatever chunks they lie in (0 if there are none): a record is one
/// privacy unit, so its chunks become one gradient before it is clipped. An engine runs each record on the calling
/// thread, and its result depends on nothing but the parameters and the record.
pub trait GradientEngine: Send + Sync {
    /// Takes the flat LoRA values, in [`LoraLayout`] order, for all following records.
    ///
    /// # Errors
    /// [`ModelError`] if tensors cannot be built from them.
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), ModelError>;

    /// Adds the record's gradient to `gradient` (flat, in [`LoraLayout`] order) and returns its loss.
    ///
    /// # Errors
    /// [`ModelError`] if the forward or backward pass fails.
    fn add_record_gradient(&self, record: &Record, gradient: &mut [f32]) -> Result<f64, ModelError>;
}

/// The loss of a record: the sum over its chunks of what `chunk_loss` makes of each with the weight of one target, which is
/// 1 by the number of those that count in the whole record; 0 where none does.
pub(crate) fn record_loss(
    record: &Record,
    mut chunk_loss: impl FnMut(&Chunk, f32) -> Result<f64, ModelError>,
) -> Result<f64, ModelError> {
    let targets = record.predicted_tokens();
    if targets == 0 {
        return Ok(0.0);
    }
    let weight = 1.0 / targets as f32;
    let mut loss = 0.0;
    for chunk in record.chunks() {
        loss += chunk_loss(chunk, weight)?;
    }
    Ok(loss)
}

/// The reference engine: candle's reverse-mode graph over the forward pass of [`BaseModel`].
pub struct CandleEngine {
    model: Arc<BaseModel>,
    layout: LoraLayout,
    scaling: f64,
    table: RopeTable,
    variables: LoraTensors,
    received: Option<Received>,
}

/// What an engine for perturbed records has besides.
struct Received {
    channel: Arc<ChannelCorrection>,
    context: ContextEmbeddings,
    /// The values of the variables, for passes that want no gradient.
    constants: LoraTensors,
}

impl CandleEngine {
    /// An engine for records of chunks up to `max_length` tokens, with all LoRA values zero.
    ///
    /// # Errors
    /// [`ModelError`] if tensors cannot be built.
    pub fn new(
        model: Arc<BaseModel>,
        layout: LoraLayout,
        scaling: f64,
        max_length: usize,
    ) -> Result<Self, ModelError> {
        let table = model.rope_table(max_length);
        let variables = LoraTensors::variables(&layout, scaling, &vec![0.0; layout.parameters()])?;
        Ok(Self { model, layout, scaling, table, variables, received: None })
    }

    /// The same engine for records that passed `channel`.
    ///
    /// # Errors
    /// [`ModelError`] if tensors cannot be built.
    pub fn with_channel(
        mut self,
        channel: Arc<ChannelCorrection>,
        context: Context,
    ) -> Result<Self, ModelError> {
        let context = ContextEmbeddings::new(&self.model, &channel, context)?;
        let zeros = vec![0.0; self.layout.parameters()];
        let constants = LoraTensors::constants(&self.layout, self.scaling, &zeros)?;
        self.received = Some(Received { channel, context, constants });
        Ok(self)
    }

    /// `weight · Σ loss` of a chunk, a scalar; `None` where no target counts.
    fn loss(&self, chunk: &Chunk, weight: f32) -> Result<Option<Tensor>, ModelError> {
        let (lora, table) = (Some(&self.variables), &self.table);
        let Some(Received { channel, context, constants }) = &self.received else {
            return self.model.weighted_loss(chunk, weight, table, lora);
        };
        if chunk.counted_targets() == 0 {
            return Ok(None);
        }
        let x = context.embed(&self.model, channel, chunk.inputs(), table, Some(constants))?;
        let hidden = self.model.hidden_states_of(x, table, lora, None)?;
        self.model.head_loss(&hidden, chunk, weight, &**channel).map(Some)
    }

    fn add_chunk_gradient(
        &self,
        chunk: &Chunk,
        weight: f32,
        gradient: &mut [f32],
    ) -> Result<f64, ModelError> {
        let Some(loss) = self.loss(chunk, weight)? else { return Ok(0.0) };
        let gradients = loss.backward()?;
        for entry in self.layout.entries() {
            // The variables were built from this layout, so each of its entries has its pair.
            let (a, b) = self.variables.pair(entry.layer, entry.module).ok_or_else(|| cut(entry.layer))?;
            for (variable, offset) in [(a, entry.a_offset), (b, entry.b_offset)] {
                let found = gradients.get(variable).ok_or_else(|| cut(entry.layer))?.contiguous()?;
                ops::read(&found, |values| add_scaled(&mut gradient[offset..], 1.0, values))?;
            }
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

/// A variable without a gradient means that an operation has no backward, which training must not ignore.
fn cut(layer: usize) -> ModelError {
    candle_core::Error::Msg(format!("no gradient reached the adapter of layer {layer}")).into()
}

impl GradientEngine for CandleEngine {
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), ModelError> {
        self.variables = LoraTensors::variables(&self.layout, self.scaling, parameters)?;
        if let Some(received) = &mut self.received {
            received.constants = LoraTensors::constants(&self.layout, self.scaling, parameters)?;
        }
        Ok(())
    }

    fn add_record_gradient(&self, record: &Record, gradient: &mut [f32]) -> Result<f64, ModelError> {
        record_loss(record, |chunk, weight| self.add_chunk_gradient(chunk, weight, gradient))
    }
}

#[cfg(test)]
#[path = "gradient_tests.rs"]
mod tests;
