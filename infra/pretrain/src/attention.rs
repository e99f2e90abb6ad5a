//! Rotary embedding and causal grouped-query attention, forward and backward.
//!
//! Rows of the stacked projection are `[query heads | key heads | value heads]`. Query head `h` reads key and value
//! head `h / (heads / kv_heads)`. Queries are taken in blocks, each against the keys up to the block's end, so that
//! little of the masked upper triangle is computed.

use crate::config::ModelConfig;
use crate::kernels;
use crate::matmul::{Matrix, MatrixMut, Precision};

/// Queries per block: at 256 tokens this computes 62.5 % of the square, and the products stay large enough to be fast.
const QUERY_BLOCK: usize = 64;

/// Cosines and sines of the rotary angles, `[length, head_dim / 2]` each.
pub(crate) struct Rotary {
    cosines: Vec<f32>,
    sines: Vec<f32>,
    half: usize,
}

impl Rotary {
    /// Angles `position · theta^(−2i / head_dim)` for positions below `length`.
    pub(crate) fn new(config: &ModelConfig, length: usize) -> Self {
        let half = config.head_dim() / 2;
        let angle = |index: usize| {
            let (position, i) = ((index / half) as f64, (index % half) as f64);
            position * f64::from(config.rope_theta).powf(-i / half as f64)
        };
        let angles: Vec<f64> = (0..length * half).map(angle).collect();
        Self {
            cosines: angles.iter().map(|a| a.cos() as f32).collect(),
            sines: angles.iter().map(|a| a.sin() as f32).collect(),
            half,
        }
    }

    /// Turns the query and key heads of each row, in Hugging Face's rotate-half convention: coordinate `i` pairs with
    /// `i + head_dim / 2`. Row `r` has position `r mod length`. `backward` turns the other way, which is the
    /// transpose.
    pub(crate) fn apply(&self, config: &ModelConfig, qkv: &mut [f32], length: usize, backward: bool) {
        let sign = if backward { -1.0 } else { 1.0 };
        let turned = config.hidden_size + config.kv_dim();
        for (index, row) in qkv.chunks_exact_mut(config.qkv_dim()).enumerate() {
            let at = (index % length) * self.half;
            let (cosines, sines) = (&self.cosines[at..at + self.half], &self.sines[at..at + self.half]);
            for head in row[..turned].chunks_exact_mut(2 * self.half) {
                let (first, second) = head.split_at_mut(self.half);
                for i in 0..self.half {
                    let (a, b, s) = (first[i], second[i], sign * sines[i]);
                    first[i] = a * cosines[i] - b * s;
                    second[i] = b * cosines[i] + a * s;
                }
            }
        }
    }
}

/// Where one head of one sequence lies in the buffers.
struct Head {
    query: usize,
    key: usize,
    value: usize,
    output: usize,
    probabilities: usize,
}

/// All (sequence, head) pairs of a batch of `sequences × length` rows.
fn heads(config: &ModelConfig, sequences: usize, length: usize) -> impl Iterator<Item = Head> {
    let config = *config;
    (0..sequences * config.heads).map(move |index| {
        let (sequence, head) = (index / config.heads, index % config.heads);
        let row = sequence * length * config.qkv_dim();
        let shared = head * config.kv_heads / config.heads * config.head_dim();
        let key = row + config.hidden_size + shared;
        Head {
            query: row + head * config.head_dim(),
            key,
            value: key + config.kv_dim(),
            output: sequence * length * config.hidden_size + head * config.head_dim(),
            probabilities: index * length * length,
        }
    })
}

/// Blocks of queries `(start, end)`; keys `0..end` are visible to some query of the block.
fn blocks(length: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..length).step_by(QUERY_BLOCK).map(move |start| (start, length.min(start + QUERY_BLOCK)))
}

/// Causal attention over sequences of one length.
pub(crate) struct Attention {
    /// Head counts and widths.
    pub(crate) config: ModelConfig,
    /// Tokens in each sequence.
    pub(crate) length: usize,
    /// Of the products; the softmax is in f32.
    pub(crate) precision: Precision,
}

impl Attention {
    /// `output[sequences·length, hidden] ← softmax(Q·Kᵀ/√d, causal) · V`; keeps the probabilities
    /// `[sequences·heads, length, length]` for the backward pass (their upper triangle is not all written).
    pub(crate) fn forward(&self, output: &mut [f32], probabilities: &mut [f32], qkv: &[f32]) {
        let (dim, stride, hidden) = (self.config.head_dim(), self.config.qkv_dim(), self.config.hidden_size);
        let length = self.length;
        for head in heads(&self.config, qkv.len() / (length * stride), length) {
            for (start, end) in blocks(length) {
                let rows = end - start;
                let query = Matrix::strided(&qkv[head.query + start * stride..], rows, dim, stride);
                let key = Matrix::strided(&qkv[head.key..], end, dim, stride);
                let value = Matrix::strided(&qkv[head.value..], end, dim, stride);
                let square = &mut probabilities[head.probabilities + start * length..][..rows * length];
                MatrixMut::strided(square, rows, end, length).assign_product(
                    query,
                    key.transposed(),
                    self.precision,
                );
                for (i, row) in square.chunks_exact_mut(length).enumerate() {
                    kernels::masked_softmax(&mut row[..end], start + i + 1, self.scale());
                }
                let weights = Matrix::strided(square, rows, end, length);
                let out = &mut output[head.output + start * hidden..];
                MatrixMut::strided(out, rows, dim, hidden).assign_product(weights, value, self.precision);
            }
        }
    }

    /// Backward of [`Self::forward`]: overwrites `dqkv` with the gradient of the turned queries, keys and values.
    /// `scratch` holds [`scratch_len`] elements.
    pub(crate) fn backward(
        &self,
        dqkv: &mut [f32],
        doutput: &[f32],
        probabilities: &[f32],
        qkv: &[f32],
        scratch: &mut [f32],
    ) {
        let (dim, stride, hidden) = (self.config.head_dim(), self.config.qkv_dim(), self.config.hidden_size);
        let length = self.length;
        dqkv.fill(0.0);
        for head in heads(&self.config, qkv.len() / (length * stride), length) {
            for (start, end) in blocks(length) {
                let rows = end - start;
                let dout = Matrix::strided(&doutput[head.output + start * hidden..], rows, dim, hidden);
                let square = &probabilities[head.probabilities + start * length..];
                let weights = Matrix::strided(square, rows, end, length);
                MatrixMut::strided(&mut dqkv[head.value..], end, dim, stride).add_product(
                    weights.transposed(),
                    dout,
                    self.precision,
                );
                let value = Matrix::strided(&qkv[head.value..], end, dim, stride);
                let dscores = &mut scratch[..rows * end];
                MatrixMut::new(dscores, rows, end).assign_product(dout, value.transposed(), self.precision);
                for (i, row) in dscores.chunks_exact_mut(end).enumerate() {
                    kernels::softmax_backward(row, &square[i * length..i * length + end], self.scale());
                }
                let dscores = Matrix::new(dscores, rows, end);
                let at = head.query + start * stride;
                let (query, key) = (&qkv[at..], Matrix::strided(&qkv[head.key..], end, dim, stride));
                MatrixMut::strided(&mut dqkv[at..], rows, dim, stride).assign_product(
                    dscores,
                    key,
                    self.precision,
                );
                let query = Matrix::strided(query, rows, dim, stride);
                MatrixMut::strided(&mut dqkv[head.key..], end, dim, stride).add_product(
                    dscores.transposed(),
                    query,
                    self.precision,
                );
            }
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.config.head_dim() as f32).sqrt()
    }
}

/// Elements of scratch space [`Attention::backward`] needs.
pub(crate) fn scratch_len(length: usize) -> usize {
    QUERY_BLOCK.min(length) * length
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
