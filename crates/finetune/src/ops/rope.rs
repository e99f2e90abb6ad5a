//! Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's models.
//!
//! Channel `i` and channel `i + n` of a head form a pair, `i < n`, which position `p` turns by the angle `p·fᵢ`;
//! channels from `2n` on are left alone. A rotation is orthogonal and its scale a number, so the backward is the
//! rotation by the opposite angle under the same scale.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::{read, unary};
use crate::model::ModelConfig;
use crate::model::architecture::Rope;

/// Cosines and sines of all rotary embeddings of a model.
#[derive(Clone)]
pub(crate) struct RopeTable {
    turns: Arc<[Turns]>,
    head_dim: usize,
    positions: usize,
}

/// `[positions, n]` each.
struct Turns {
    cos: Vec<f32>,
    sin: Vec<f32>,
    pairs: usize,
}

impl RopeTable {
    pub(crate) fn new(config: &ModelConfig, positions: usize) -> Self {
        let turns = config.ropes.iter().map(|rope| Turns::new(rope, positions)).collect();
        Self { turns, head_dim: config.head_dim, positions }
    }

    pub(crate) fn positions(&self) -> usize {
        self.positions
    }
}

impl Turns {
    fn new(rope: &Rope, positions: usize) -> Self {
        let frequencies = &rope.inverse_frequencies;
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let turn = |angle: f64| ((rope.scale * angle.cos()) as f32, (rope.scale * angle.sin()) as f32);
        let (cos, sin) = angles.map(turn).unzip();
        Self { cos, sin, pairs: frequencies.len() }
    }

    /// Turns every head of every row of `x [t, width]`; the first row stands at position `first`.
    fn turn(&self, x: &[f32], width: usize, head_dim: usize, first: usize, direction: f32) -> Vec<f32> {
        let n = self.pairs;
        let mut y = x.to_vec();
        for (row, values) in y.chunks_exact_mut(width).enumerate() {
            let from = (first + row) * n;
            let (cos, sin) = (&self.cos[from..from + n], &self.sin[from..from + n]);
            for head in values.chunks_exact_mut(head_dim) {
                let (left, right) = head[..2 * n].split_at_mut(n);
                for i in 0..n {
                    let (a, b, s) = (left[i], right[i], direction * sin[i]);
                    left[i] = a * cos[i] - b * s;
                    right[i] = b * cos[i] + a * s;
                }
            }
        }
        y
    }
}

/// Rotates the heads of `x [t, heads · head_dim]`, whose first row stands at position `first`, by the model's rotary
/// embedding `which`.
pub(crate) fn rope(x: &Tensor, table: &RopeTable, which: usize, first: usize) -> Result<Tensor> {
    let (t, width) = x.dims2()?;
    if first + t > table.positions() {
        bail!("position {} is outside of the rotary table of {}", first + t, table.positions());
    }
    let turn = {
        let table = table.clone();
        move |x: &[f32], direction| table.turns[which].turn(x, width, table.head_dim, first, direction)
    };
    let y = read(x, |x| turn(x, 1.0))?;
    unary(x, (y, x.shape().clone()), move |dy| Ok(turn(dy, -1.0)))
}
