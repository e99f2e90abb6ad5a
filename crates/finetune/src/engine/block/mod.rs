//! Forward and backward of one transformer block over one sequence.
//!
//! The forward keeps on a [`Tape`] what the way back cannot cheaply compute again: inputs of norms, queries, keys and
//! values, and what the activation reads. Outputs of norms and of the activation are computed again.

mod backward;

use kernels::ops;

use super::adapted::{Adapters, StageAdapter, StageScratch};
use super::attention::{Attention, AttentionScratch};
use super::packed::{PackedBlock, PackedModel, PackedNorm};
use super::rotary::Rotary;
use crate::model::architecture::Stage;

/// What a block's way back needs of its way there, for `t` tokens.
#[derive(Default)]
pub(crate) struct Tape {
    /// Input `[t, hidden]`
    x: Vec<f32>,
    /// Queries and keys before their norm `[t, q + k]`, where they have one.
    unnormed: Vec<f32>,
    /// `q | k | v [t, …]`, rotated.
    rows: Vec<f32>,
    attended: Vec<f32>,
    log_sums: Vec<f32>,
    /// Attention's output before its norm, where it has one.
    attention_output: Vec<f32>,
    /// The residual stream between attention and feed-forward.
    middle: Vec<f32>,
    /// `gate | up` or `up`.
    inner: Vec<f32>,
    /// Feed-forward's output before its norm, where it has one.
    feed_forward_output: Vec<f32>,
    /// `x·Aᵀ` of each stage's adapters.
    h: [Vec<f32>; 4],
}

/// Buffers of one thread, for any block.
#[derive(Default)]
pub(crate) struct Buffers {
    normed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    d_rows: Vec<f32>,
    pub(crate) stage: StageScratch,
    attention: AttentionScratch,
}

#[cfg(test)]
impl Tape {
    /// Values that it holds.
    pub(crate) fn values(&self) -> usize {
        let single =
            [&self.x, &self.unnormed, &self.rows, &self.attended, &self.log_sums, &self.attention_output];
        let more = [&self.middle, &self.inner, &self.feed_forward_output];
        single.into_iter().chain(more).chain(&self.h).map(Vec::len).sum()
    }
}

#[cfg(test)]
impl Buffers {
    /// Values that they hold.
    pub(crate) fn values(&self) -> usize {
        let own = [&self.normed, &self.wide, &self.narrow, &self.d_rows];
        let own: usize = own.into_iter().map(Vec::len).sum();
        own + self.attention.values() + self.stage.products.words()
    }
}

/// A block of the model with its adapters.
pub(crate) struct Block<'a> {
    model: &'a PackedModel,
    frozen: &'a PackedBlock,
    adapters: &'a [StageAdapter; 4],
    rotary: Option<&'a Rotary>,
    attention: Attention,
    /// The first stage whose adapter needs a gradient, where blocks before this one need none.
    lowest: Option<usize>,
}

/// Grows or shrinks a buffer that is about to be overwritten.
pub(crate) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    buffer.resize(length, 0.0);
    buffer
}

impl<'a> Block<'a> {
    pub(crate) fn new(
        model: &'a PackedModel,
        adapters: &'a Adapters,
        rotary: &'a [Rotary],
        index: usize,
    ) -> Self {
        let kind = model.config.attention[index];
        Self {
            model,
            frozen: &model.blocks[index],
            adapters: adapters.stages(index),
            rotary: kind.rope.map(|rope| &rotary[rope]),
            attention: Attention::new(model.format.isa, &model.config, kind),
            lowest: adapters.lowest.filter(|(block, _)| *block == index).map(|(_, stage)| stage),
        }
    }

    /// `y = x·Wᵀ …` of a stage.
    fn stage(&self, stage: Stage, x: &[f32], y: &mut [f32], h: &mut Vec<f32>, scratch: &mut StageScratch) {
        let index = stage as usize;
        self.adapters[index].forward(self.model.format.isa, &self.frozen.stages[index], x, y, h, scratch);
    }

    /// Replaces the residual stream `x [t, hidden]` by the block's output.
    pub(crate) fn forward(&self, x: &mut [f32], tape: &mut Tape, b: &mut Buffers) {
        let (config, isa) = (&self.model.config, self.model.format.isa);
        let t = x.len() / config.hidden_size;
        tape.x.clear();
        tape.x.extend_from_slice(x);
        self.frozen.input_norm.forward(isa, x, sized(&mut b.normed, x.len()));
        let rows = sized(&mut tape.rows, t * self.frozen.stages[0].shape().1);
        self.stage(Stage::QueryKeyValue, &b.normed, rows, &mut tape.h[0], &mut b.stage);
        self.place(tape);
        let attended = sized(&mut tape.attended, t * config.query_width());
        let log_sums = sized(&mut tape.log_sums, t * config.num_attention_heads);
        self.attention.forward(&tape.rows, attended, log_sums, &mut b.attention);

        let out = sized(&mut b.narrow, x.len());
        self.stage(Stage::AttentionOutput, &tape.attended, out, &mut tape.h[1], &mut b.stage);
        self.add(self.frozen.attention_post_norm.as_ref(), x, out, &mut tape.attention_output, &mut b.normed);
        tape.middle.clear();
        tape.middle.extend_from_slice(x);

        self.frozen.feed_forward_norm.forward(isa, x, sized(&mut b.normed, x.len()));
        let inner = sized(&mut tape.inner, t * self.frozen.stages[2].shape().1);
        self.stage(Stage::Up, &b.normed, inner, &mut tape.h[2], &mut b.stage);
        self.activate(&tape.inner, sized(&mut b.wide, t * config.intermediate_size));
        let out = sized(&mut b.narrow, x.len());
        self.stage(Stage::Down, &b.wide, out, &mut tape.h[3], &mut b.stage);
        let post_norm = self.frozen.feed_forward_post_norm.as_ref();
        self.add(post_norm, x, out, &mut tape.feed_forward_output, &mut b.normed);
    }

    /// Norms of queries and keys, and their rotation.
    fn place(&self, tape: &mut Tape) {
        let (config, isa) = (&self.model.config, self.model.format.isa);
        let (q, kv) = (config.query_width(), config.key_value_width());
        let width = q + 2 * kv;
        if let (Some(query), Some(key)) = (&self.frozen.query_norm, &self.frozen.key_norm) {
            tape.unnormed.clear();
            for row in tape.rows.chunks_exact_mut(width) {
                let from = tape.unnormed.len();
                tape.unnormed.extend_from_slice(&row[..q + kv]);
                let unnormed = &tape.unnormed[from..];
                query.forward(isa, &unnormed[..q], &mut row[..q]);
                key.forward(isa, &unnormed[q..], &mut row[q..q + kv]);
            }
        }
        if let Some(rotary) = self.rotary {
            rotary.turn(isa, &mut tape.rows, width, self.turned_heads(), config.head_dim, 1.0);
        }
    }

    fn turned_heads(&self) -> usize {
        self.model.config.num_attention_heads + self.model.config.num_key_value_heads
    }

    /// `x += norm(out)`, with `out` kept on the tape, or `x += out`.
    fn add(
        &self,
        norm: Option<&PackedNorm>,
        x: &mut [f32],
        out: &[f32],
        kept: &mut Vec<f32>,
        normed: &mut Vec<f32>,
    ) {
        let isa = self.model.format.isa;
        let Some(norm) = norm else { return ops::add(isa, x, out) };
        kept.clear();
        kept.extend_from_slice(out);
        norm.forward(isa, out, sized(normed, out.len()));
        ops::add(isa, x, normed);
    }

    fn activate(&self, inner: &[f32], y: &mut [f32]) {
        let (config, isa, activation) =
            (&self.model.config, self.model.format.isa, self.model.config.activation);
        match config.gated {
            true => ops::gate(isa, activation, inner, config.intermediate_size, y),
            false => ops::activate(isa, activation, inner, y),
        }
    }
}
