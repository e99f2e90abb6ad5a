//! Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's Llama.
//!
//! Channel `i` and channel `i + d/2` of a head form a pair, which position `p` turns by the angle `p·fᵢ`. A rotation is
//! orthogonal, so the backward is the rotation by the opposite angle.

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::{read, unary};
use crate::model::{Llama3RopeScaling, LlamaConfig};

/// Cosines and sines for positions `0 .. positions`, `[positions, head_dim / 2]` each.
#[derive(Clone)]
pub(crate) struct RopeTable {
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
    half: usize,
}

impl RopeTable {
    pub(crate) fn new(config: &LlamaConfig, positions: usize) -> Self {
        let frequencies = frequencies(config);
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        Self { cos: cos.into(), sin: sin.into(), half: frequencies.len() }
    }

    pub(crate) fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    /// Turns every head of every row of `x [t, heads · head_dim]`; the first row stands at position `first`.
    fn turn(&self, x: &[f32], width: usize, first: usize, direction: f32) -> Vec<f32> {
        let half = self.half;
        let mut y = x.to_vec();
        for (row, values) in y.chunks_exact_mut(width).enumerate() {
            let from = (first + row) * half;
            let (cos, sin) = (&self.cos[from..from + half], &self.sin[from..from + half]);
            for head in values.chunks_exact_mut(2 * half) {
                let (left, right) = head.split_at_mut(half);
                for i in 0..half {
                    let (a, b, s) = (left[i], right[i], direction * sin[i]);
                    left[i] = a * cos[i] - b * s;
                    right[i] = b * cos[i] + a * s;
                }
            }
        }
        y
    }
}

/// Rotates the heads of `x [t, heads · head_dim]`, whose first row stands at position `first`.
pub(crate) fn rope(x: &Tensor, table: &RopeTable, first: usize) -> Result<Tensor> {
    let (t, width) = x.dims2()?;
    if first + t > table.positions() {
        bail!("position {} is outside of the rotary table of {}", first + t, table.positions());
    }
    let y = read(x, |x| table.turn(x, width, first, 1.0))?;
    let table = table.clone();
    unary(x, (y, x.shape().clone()), move |dy| Ok(table.turn(dy, width, first, -1.0)))
}

fn frequencies(config: &LlamaConfig) -> Vec<f64> {
    let d = config.head_dim;
    let plain = (0..d / 2).map(|i| config.rope_theta.powf(-((2 * i) as f64) / d as f64));
    match &config.rope_scaling {
        None => plain.collect(),
        Some(scaling) => plain.map(|f| stretched(f, scaling)).collect(),
    }
}

/// The `llama3` rule: long wavelengths are slowed by `factor`, short ones kept, those between interpolated.
fn stretched(frequency: f64, scaling: &Llama3RopeScaling) -> f64 {
    let original = scaling.original_max_position_embeddings as f64;
    let wavelength = 2.0 * PI / frequency;
    let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
    let kept = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
    (1.0 - kept) * frequency / scaling.factor + kept * frequency
}
