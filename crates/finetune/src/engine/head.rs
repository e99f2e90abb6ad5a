//! From the residual stream to the loss and back, a block of rows at a time: all logits of a sequence are never held at
//! once, and rows without a target have none.

use kernels::{Matrix, MatrixMut, Scratch, Write, ops};

use super::block::sized;
use super::packed::{Format, PackedModel};
use crate::channel::ChannelCorrection;
use crate::model::ModelConfig;
use crate::ops::RowLoss;

/// Bytes of a block of logits: a few megabytes stay in the last-level cache, and the head's weights, which every block
/// reads again, are read seldom enough.
const BLOCK_BYTES: usize = 8 << 20;
/// Fewer rows than this would leave the product waiting for the head's weights.
const LEAST_ROWS: usize = 32;
/// Values between rows of logits, so that rows of a power of two do not fall on the same lines of the cache.
const GAP: usize = 16;

/// A row of the residual stream and the token that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) row: usize,
    pub(crate) token: u32,
}

#[derive(Default)]
pub(crate) struct HeadBuffers {
    /// Rows of the residual stream that have a target.
    picked: Vec<f32>,
    normed: Vec<f32>,
    d_normed: Vec<f32>,
    d_picked: Vec<f32>,
    logits: Vec<f32>,
    capped: Vec<f32>,
    pairs: Vec<u32>,
    scratch: Scratch,
}

#[cfg(test)]
impl HeadBuffers {
    /// Values that they hold.
    pub(crate) fn values(&self) -> usize {
        let own = [&self.picked, &self.normed, &self.d_normed, &self.d_picked, &self.logits, &self.capped];
        let own: usize = own.into_iter().map(Vec::len).sum();
        own + self.pairs.len() + self.scratch.words()
    }
}

/// Rows of logits that are held at once.
fn block_rows(vocabulary: usize) -> usize {
    (BLOCK_BYTES / (4 * (vocabulary + GAP))).max(LEAST_ROWS).next_multiple_of(8)
}

impl HeadBuffers {
    /// Bytes that these buffers take after a sequence of `t` inputs.
    pub(super) fn bytes(model: &ModelConfig, format: Format, t: usize) -> usize {
        let (hidden, vocabulary) = (model.hidden_size, model.vocab_size);
        let rows = t.min(block_rows(vocabulary));
        let capped = model.logit_softcap.map_or(0, |_| vocabulary);
        let pairs = match (format.bf16, model.logit_softcap) {
            (false, _) => 0,
            (true, None) => rows * (vocabulary.div_ceil(2) + GAP + hidden.div_ceil(2)),
            (true, Some(_)) => rows * vocabulary.div_ceil(2),
        };
        4 * (4 * t * hidden + rows * (vocabulary + GAP) + capped + pairs)
    }
}

impl PackedModel {
    fn logit_stride(&self) -> usize {
        self.config.vocab_size + GAP
    }

    fn block_rows(&self) -> usize {
        block_rows(self.config.vocab_size)
    }

    /// `weight · Σ loss` over the targets, each loss being −ln p of the token, or of its having been received through
    /// `channel`; where wanted, replaces dx by the gradient of the residual stream `x [t, hidden]`.
    pub(crate) fn loss(
        &self,
        x: &[f32],
        targets: &[Target],
        weight: f32,
        channel: Option<&ChannelCorrection>,
        dx: Option<&mut [f32]>,
        b: &mut HeadBuffers,
    ) -> f64 {
        let (isa, d, v) = (self.format.isa, self.config.hidden_size, self.config.vocab_size);
        let stride = self.logit_stride();
        self.pick(x, targets, b);
        let fast = self.head.is_bf16() && channel.is_none() && self.config.logit_softcap.is_none();
        let d_normed = sized(&mut b.d_normed, targets.len() * d);
        let mut loss = 0.0;
        let blocks = targets.chunks(self.block_rows()).zip(b.normed.chunks(self.block_rows() * d));
        for (block, d_normed) in blocks.zip(d_normed.chunks_mut(self.block_rows() * d)) {
            let (targets, normed) = block;
            let rows = targets.len();
            let logits = sized(&mut b.logits, rows * stride);
            let out = MatrixMut::strided(logits, rows, v, stride);
            self.head.products(Matrix::new(normed, rows, d), out, &mut b.scratch);
            let d_normed = MatrixMut::new(d_normed, rows, d);
            if fast && dx.is_some() {
                let words = v.div_ceil(2) + GAP;
                b.pairs.resize(rows * words, 0);
                let each = logits.chunks_exact_mut(stride).zip(b.pairs.chunks_exact_mut(words));
                for ((row, pairs), target) in each.zip(targets) {
                    let pairs = &mut pairs[..v.div_ceil(2)];
                    let token = target.token as usize;
                    loss += ops::cross_entropy_pairs(isa, &mut row[..v], token, weight, pairs);
                }
                self.head.transposed().multiply_pairs(&b.pairs, words, d_normed, Write::Replace);
                continue;
            }
            for (row, target) in logits.chunks_exact_mut(stride).zip(targets) {
                loss += self.row_loss(&mut row[..v], target.token, weight, channel, &mut b.capped);
            }
            if dx.is_some() {
                let logits = Matrix::strided(logits, rows, v, stride);
                self.head.transposed().multiply(logits, d_normed, Write::Replace, &mut b.scratch);
            }
        }
        if let Some(dx) = dx {
            let d_picked = sized(&mut b.d_picked, targets.len() * d);
            d_picked.fill(0.0);
            self.final_norm.backward(isa, &b.picked, &b.d_normed, d_picked);
            dx.fill(0.0);
            for (target, row) in targets.iter().zip(d_picked.chunks_exact(d)) {
                dx[target.row * d..][..d].copy_from_slice(row);
            }
        }
        loss * f64::from(weight)
    }

    /// Copies the rows that have a target, and norms them.
    fn pick(&self, x: &[f32], targets: &[Target], b: &mut HeadBuffers) {
        let d = self.config.hidden_size;
        b.picked.clear();
        for target in targets {
            b.picked.extend_from_slice(&x[target.row * d..][..d]);
        }
        self.final_norm.forward(self.format.isa, &b.picked, sized(&mut b.normed, targets.len() * d));
    }

    /// Replaces a row of logits by `weight` times the gradient of its loss; returns the loss.
    fn row_loss(
        &self,
        row: &mut [f32],
        token: u32,
        weight: f32,
        channel: Option<&ChannelCorrection>,
        capped: &mut Vec<f32>,
    ) -> f64 {
        let isa = self.format.isa;
        let cap = self.config.logit_softcap.map(|cap| cap as f32);
        if let Some(cap) = cap {
            ops::soft_cap(isa, row, cap);
            capped.clear();
            capped.extend_from_slice(row);
        }
        let loss = match channel {
            None => ops::cross_entropy(isa, row, token as usize, weight),
            Some(channel) => {
                let loss = channel.replace(row, token);
                ops::scale(isa, row, weight);
                loss
            }
        };
        if let Some(cap) = cap {
            ops::soft_cap_backward(isa, capped, cap, row);
        }
        loss
    }

    /// Replaces each row of the residual stream `x [t, hidden]` by the mean embedding, unscaled, under the weights that
    /// `replace` makes of its logits.
    pub(crate) fn mean_embeddings(
        &self,
        x: &mut [f32],
        replace: &mut dyn FnMut(&mut [f32], usize),
        b: &mut HeadBuffers,
    ) {
        let (isa, d, v) = (self.format.isa, self.config.hidden_size, self.config.vocab_size);
        let (stride, block) = (self.logit_stride(), self.block_rows());
        self.final_norm.forward(isa, x, sized(&mut b.normed, x.len()));
        for (index, (normed, out)) in b.normed.chunks(block * d).zip(x.chunks_mut(block * d)).enumerate() {
            let rows = normed.len() / d;
            let logits = sized(&mut b.logits, rows * stride);
            let matrix = MatrixMut::strided(logits, rows, v, stride);
            self.head.products(Matrix::new(normed, rows, d), matrix, &mut b.scratch);
            for (offset, row) in logits.chunks_exact_mut(stride).enumerate() {
                if let Some(cap) = self.config.logit_softcap {
                    ops::soft_cap(isa, &mut row[..v], cap as f32);
                }
                replace(&mut row[..v], index * block + offset);
            }
            let weights = Matrix::strided(logits, rows, v, stride);
            let out = MatrixMut::new(out, rows, d);
            self.embeddings.multiply(weights, out, Write::Replace, &mut b.scratch);
        }
    }
}
