//! Layer normalisation over the last dimension, with frozen gain and bias.

use candle_core::{Result, Tensor};

use super::{read, unary};

/// `y = g ∘ (x − mean) / √(var + ε) + b` for each row of `x [t, d]`, `g` and `b [d]` (Ba et al. 2016, eq. 4).
pub(crate) fn layer_norm(x: &Tensor, gain: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let epsilon = epsilon as f32;
    let y = read(x, |x| read(gain, |g| read(bias, |b| forward(x, g, b, epsilon))))???;
    let (saved, gain) = (x.detach(), gain.clone());
    unary(x, (y, x.shape().clone()), move |dy| {
        read(&saved, |x| read(&gain, |g| backward(x, g, dy, epsilon)))?
    })
}

/// Mean and `1/√(var + ε)`.
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let d = row.len() as f32;
    let mean = row.iter().sum::<f32>() / d;
    let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / d;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

fn forward(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(gain.len()) {
        let (mean, s) = moments(row, epsilon);
        y.extend(row.iter().zip(gain).zip(bias).map(|((v, g), b)| (v - mean) * s * g + b));
    }
    y
}

/// With `n = s·(x − mean)`, `s = 1/√(var + ε)` and `h = g ∘ dy`: `dx = s·(h − mean(h) − n·mean(h ∘ n))`.
fn backward(x: &[f32], gain: &[f32], dy: &[f32], epsilon: f32) -> Vec<f32> {
    let d = gain.len();
    let mut dx = Vec::with_capacity(x.len());
    for (row, dy) in x.chunks_exact(d).zip(dy.chunks_exact(d)) {
        let (mean, s) = moments(row, epsilon);
        let h = || dy.iter().zip(gain).map(|(e, g)| e * g);
        let n = || row.iter().map(|v| s * (v - mean));
        let mean_h = h().sum::<f32>() / d as f32;
        let mean_hn = h().zip(n()).map(|(h, n)| h * n).sum::<f32>() / d as f32;
        dx.extend(h().zip(n()).map(|(h, n)| s * (h - mean_h - n * mean_hn)));
    }
    dx
}
