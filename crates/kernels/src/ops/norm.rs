//! Normalisation over the last dimension, with frozen gains.

use super::sum;
use crate::isa::for_each_isa;

#[inline(always)]
fn inverse_root_mean_square(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(x.len(), |i| x[i] * x[i]) / x.len() as f32 + epsilon).sqrt()
}

/// Mean, and `1/√(variance + ε)`.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x.len(), |i| x[i]) / n;
    let variance = sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

for_each_isa! {
    /// `y = g ∘ x / √(mean(x²) + ε)` for each row of x (Zhang & Sennrich 2019, eq. 4); rows are as long as the gain.
    pub fn rms_norm(x: &[f32], gain: &[f32], epsilon: f32, y: &mut [f32]) {
        let d = gain.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let s = inverse_root_mean_square(x, epsilon);
            for ((x, g), y) in x.iter().zip(gain).zip(y) {
                *y = x * s * g;
            }
        }
    }

    /// Adds the gradient of [`rms_norm`]'s input to dx: with `s = 1/√(mean(x²) + ε)` and `h = g ∘ dy`,
    /// `dx += s·h − x·s³·⟨h, x⟩/d`.
    pub fn rms_norm_backward(x: &[f32], gain: &[f32], epsilon: f32, dy: &[f32], dx: &mut [f32]) {
        let d = gain.len();
        for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let s = inverse_root_mean_square(x, epsilon);
            let pull = sum(d, |i| dy[i] * gain[i] * x[i]) * s * s * s / d as f32;
            for i in 0..d {
                dx[i] += (dy[i] * gain[i]).mul_add(s, -x[i] * pull);
            }
        }
    }

    /// `y = g ∘ (x − mean) / √(var + ε) + b` for each row of x (Ba et al. 2016, eq. 4).
    pub fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
        let d = gain.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let (mean, s) = moments(x, epsilon);
            for (((x, g), b), y) in x.iter().zip(gain).zip(bias).zip(y) {
                *y = ((x - mean) * s).mul_add(*g, *b);
            }
        }
    }

    /// Adds the gradient of [`layer_norm`]'s input to dx: with `n = (x − mean)·s` and `h = g ∘ dy`,
    /// `dx += s·(h − mean(h) − n·mean(h ∘ n))`.
    pub fn layer_norm_backward(x: &[f32], gain: &[f32], epsilon: f32, dy: &[f32], dx: &mut [f32]) {
        let d = gain.len();
        for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let (mean, s) = moments(x, epsilon);
            let level = sum(d, |i| dy[i] * gain[i]) / d as f32;
            let slope = sum(d, |i| dy[i] * gain[i] * (x[i] - mean)) * s / d as f32;
            for i in 0..d {
                dx[i] += s * (dy[i] * gain[i] - level - (x[i] - mean) * s * slope);
            }
        }
    }
}
