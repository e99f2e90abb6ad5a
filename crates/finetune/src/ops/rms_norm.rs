//! Root-mean-square normalisation over the last dimension, with a frozen gain.

use candle_core::{Result, Tensor};

use super::{read, unary};

/// `y = g ∘ x / √(mean(x²) + ε)` for each row of `x [t, d]`, `g [d]` (Zhang & Sennrich 2019, eq. 4). In a wider `x`,
/// each stretch of d values is a row.
pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
    let epsilon = epsilon as f32;
    let y = read(x, |x| read(gain, |g| forward(x, g, epsilon)))??;
    let (saved, gain) = (x.detach(), gain.clone());
    unary(x, (y, x.shape().clone()), move |dy| {
        read(&saved, |x| read(&gain, |g| backward(x, g, dy, epsilon)))?
    })
}

fn inverse_root_mean_square(row: &[f32], epsilon: f32) -> f32 {
    let square: f32 = row.iter().map(|v| v * v).sum();
    1.0 / (square / row.len() as f32 + epsilon).sqrt()
}

fn forward(x: &[f32], gain: &[f32], epsilon: f32) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(gain.len()) {
        let s = inverse_root_mean_square(row, epsilon);
        y.extend(row.iter().zip(gain).map(|(v, g)| v * s * g));
    }
    y
}

/// With `s = 1/√(mean(x²) + ε)` and `h = g ∘ dy`: `dx = s·h − x·s³·⟨h, x⟩/d`.
fn backward(x: &[f32], gain: &[f32], dy: &[f32], epsilon: f32) -> Vec<f32> {
    let d = gain.len();
    let mut dx = Vec::with_capacity(x.len());
    for (row, dy) in x.chunks_exact(d).zip(dy.chunks_exact(d)) {
        let s = inverse_root_mean_square(row, epsilon);
        let inner: f32 = row.iter().zip(dy).zip(gain).map(|((v, e), g)| v * e * g).sum();
        let pull = s * s * s * inner / d as f32;
        dx.extend(row.iter().zip(dy).zip(gain).map(|((v, e), g)| s * e * g - v * pull));
    }
    dx
}
