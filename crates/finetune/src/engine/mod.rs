//! The engine: forward and backward of a frozen transformer with LoRA, written out, one sequence on one thread.
//!
//! ```text
//! ModelFiles ─▶ PackedModel ──┐  embed ─▶ Block::forward … ─▶ PackedModel::loss
//! parameters ─▶ Adapters ─────┴▶                 │ Tape               │ dx
//!                                  gradient ◀─ Block::backward … ◀─────┘
//! ```
//!
//! Why not an autograd graph: the base is frozen, so most of a graph's gradients are never read, its intermediate tensors are
//! allocated and freed for every operation, and its operations cannot be fused. Here a thread computes one sequence at a time
//! over weights that are packed once and shared; it allocates nothing after its first sequence; memory grows with threads, not
//! with the batch; nothing is padded.
//!
//! [`crate::gradient::CandleEngine`] computes the same by candle's graph and is what this is tested against.

mod adapted;
mod attention;
mod block;
mod head;
mod memory;
mod packed;
mod rotary;

use std::sync::{Arc, Mutex, PoisonError};

use adapted::Adapters;
use block::{Block, Buffers, Tape, sized};
use head::{HeadBuffers, Target};
pub use memory::{MemoryEstimate, operations};
pub use packed::processor_rate;
pub(crate) use packed::{Format, PackedModel, Use};
use rotary::Rotary;

use crate::adapter::{Adapter, AdapterError};
use crate::channel::{ChannelCorrection, Context, ContextEmbeddings};
use crate::gradient::{GradientEngine, record_loss};
use crate::lora::LoraLayout;
use crate::model::ModelError;
use crate::ops::posterior;
use crate::records::{Chunk, Record};

/// The engine that trains.
pub(crate) struct PackedEngine {
    model: Arc<PackedModel>,
    layout: LoraLayout,
    scaling: f64,
    adapters: Adapters,
    rotary: Vec<Rotary>,
    positions: usize,
    received: Option<(Arc<ChannelCorrection>, ContextEmbeddings)>,
    /// Workspaces that no thread uses at present.
    idle: Mutex<Vec<Workspace>>,
}

/// The memory of one thread.
#[derive(Default)]
struct Workspace {
    x: Vec<f32>,
    dx: Vec<f32>,
    targets: Vec<Target>,
    tapes: Vec<Tape>,
    buffers: Buffers,
    head: HeadBuffers,
}

impl PackedEngine {
    /// An engine for sequences of up to `max_length` tokens, with all LoRA values zero.
    pub(crate) fn new(model: Arc<PackedModel>, layout: LoraLayout, scaling: f64, max_length: usize) -> Self {
        let adapters = Adapters::new(&model, &layout, scaling, &vec![0.0; layout.parameters()]);
        let rotary = model.config.ropes.iter().map(|rope| Rotary::new(rope, max_length)).collect();
        let idle = Mutex::default();
        Self { model, layout, scaling, adapters, rotary, positions: max_length, received: None, idle }
    }

    /// An engine with the values of an adapter, or with none.
    ///
    /// # Errors
    /// [`AdapterError`] if the adapter does not fit the model.
    pub(crate) fn for_adapter(
        model: Arc<PackedModel>,
        adapter: Option<&Adapter>,
        max_length: usize,
    ) -> Result<Self, AdapterError> {
        let Some(adapter) = adapter else {
            return Ok(Self::new(model, LoraLayout::empty(), 1.0, max_length));
        };
        let layout = adapter.layout_on(&model.config)?;
        let mut engine = Self::new(model, layout, adapter.config().scaling(), max_length);
        engine.set_parameters(adapter.parameters())?;
        Ok(engine)
    }

    /// The same engine for records that passed `channel`.
    pub(crate) fn with_channel(
        mut self,
        channel: Arc<ChannelCorrection>,
        context: Context,
    ) -> Result<Self, ModelError> {
        let (rows, d) = (self.model.config.vocab_size, self.model.config.hidden_size);
        let table = || {
            let mut table = vec![0.0; rows * d];
            for (row, out) in table.chunks_exact_mut(d).enumerate() {
                self.model.embeddings.read_row(row, out);
            }
            Ok(table)
        };
        let context = ContextEmbeddings::from_table(&channel, context, d, table)?;
        self.received = Some((channel, context));
        Ok(self)
    }

    fn borrow<R>(&self, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = idle().pop().unwrap_or_default();
        let result = work(&mut workspace);
        idle().push(workspace);
        result
    }

    /// `weight · Σ loss` of a sequence's counted targets; adds the gradient, where wanted, to a flat vector.
    ///
    /// # Errors
    /// [`ModelError::SequenceTooLong`].
    pub(crate) fn chunk(
        &self,
        chunk: &Chunk,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Result<f64, ModelError> {
        let inputs = chunk.inputs();
        if inputs.len() > self.positions {
            return Err(ModelError::SequenceTooLong { length: inputs.len(), limit: self.positions });
        }
        self.borrow(|workspace| self.run(chunk, weight, gradient, workspace))
    }

    fn run(
        &self,
        chunk: &Chunk,
        weight: f32,
        gradient: Option<&mut [f32]>,
        w: &mut Workspace,
    ) -> Result<f64, ModelError> {
        let counted = chunk.targets().enumerate();
        w.targets.clear();
        w.targets.extend(counted.filter_map(|(row, token)| Some(Target { row, token: token? })));
        // Rows behind the last target change no loss.
        let Some(last) = w.targets.last().map(|target| target.row) else { return Ok(0.0) };
        let inputs = &chunk.inputs()[..=last];
        self.embed(inputs, w)?;
        let Workspace { x, dx, targets, tapes, buffers, head } = w;
        self.forward(x, tapes, buffers);
        let channel = self.received.as_ref().map(|(channel, _)| &**channel);
        let Some(gradient) = gradient else {
            return Ok(self.model.loss(x, targets, weight, channel, None, head));
        };
        let dx = sized(dx, x.len());
        let loss = self.model.loss(x, targets, weight, channel, Some(&mut *dx), head);
        let Some((lowest, _)) = self.adapters.lowest else { return Ok(loss) };
        for index in (lowest..self.model.blocks.len()).rev() {
            self.block(index).backward(dx, &mut tapes[index], buffers, gradient);
        }
        Ok(loss)
    }

    fn block(&self, index: usize) -> Block<'_> {
        Block::new(&self.model, &self.adapters, &self.rotary, index)
    }

    /// Replaces embeddings by the residual stream after the last block.
    fn forward(&self, x: &mut [f32], tapes: &mut Vec<Tape>, buffers: &mut Buffers) {
        if let Some(positions) = &self.model.positions {
            kernels::ops::add(self.model.format.isa, x, &positions[..x.len()]);
        }
        tapes.resize_with(tapes.len().max(self.model.blocks.len()), Tape::default);
        for (index, tape) in tapes[..self.model.blocks.len()].iter_mut().enumerate() {
            self.block(index).forward(x, tape, buffers);
        }
    }

    /// The embeddings that a sequence of tokens, or of received tokens, starts with.
    fn embed(&self, inputs: &[u32], w: &mut Workspace) -> Result<(), ModelError> {
        let d = self.model.config.hidden_size;
        sized(&mut w.x, inputs.len() * d);
        let start = self.received.as_ref().map(|(_, context)| context.start(inputs)).transpose()?.flatten();
        let (Some((channel, context)), Some(start)) = (&self.received, start) else {
            self.model.embed(inputs, &mut w.x);
            return Ok(());
        };
        let received = &inputs[1..];
        let mut rest = start[d..].to_vec();
        for _ in 0..if received.is_empty() { 0 } else { context.passes() } {
            let mut x = [&start[..d], &rest[..rest.len() - d]].concat();
            self.model.scale_embeddings(&mut x);
            self.forward(&mut x, &mut w.tapes, &mut w.buffers);
            let mut replace = |row: &mut [f32], index: usize| posterior(row, received[index], channel);
            self.model.mean_embeddings(&mut x, &mut replace, &mut w.head);
            rest = x;
        }
        w.x[..d].copy_from_slice(&start[..d]);
        w.x[d..].copy_from_slice(&rest);
        self.model.scale_embeddings(&mut w.x);
        Ok(())
    }
}

#[cfg(test)]
impl PackedEngine {
    /// Bytes of the idle workspaces, spare capacity left out.
    fn workspace_bytes(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().map(Workspace::bytes).sum()
    }
}

#[cfg(test)]
impl Workspace {
    fn bytes(&self) -> usize {
        let tapes: usize = self.tapes.iter().map(Tape::values).sum();
        4 * (self.x.len() + self.dx.len() + tapes + self.buffers.values() + self.head.values())
    }
}

impl GradientEngine for PackedEngine {
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), ModelError> {
        self.adapters = Adapters::new(&self.model, &self.layout, self.scaling, parameters);
        Ok(())
    }

    fn add_record_gradient(&self, record: &Record, gradient: &mut [f32]) -> Result<f64, ModelError> {
        record_loss(record, |chunk, weight| self.chunk(chunk, weight, Some(&mut *gradient)))
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
