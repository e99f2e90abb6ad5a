//! The element-wise pieces of the model, forward and backward, on flat row-major slices.
//!
//! Everything is plain Rust that the compiler turns into SIMD: sums run over [`LANES`] independent accumulators
//! (floating-point addition may not be reordered otherwise) and `exp` is a polynomial. [`pulp::Arch::dispatch`]
//! compiles each kernel for several instruction sets and picks the best at run time.

use pulp::Arch;

/// One AVX-512 register of f32; on narrower machines the compiler uses several registers.
const LANES: usize = 16;

/// RMS norm of each row: `y = x · r · gain`, `r = 1/√(mean(x²) + eps)`; keeps `r` for the backward pass.
pub(crate) fn rms_norm(y: &mut [f32], inverse_rms: &mut [f32], x: &[f32], gain: &[f32], eps: f32) {
    let width = gain.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((y, x), r) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse_rms) {
                *r = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
                for ((y, x), g) in y.iter_mut().zip(x).zip(gain) {
                    *y = x * *r * g;
                }
            }
        },
    );
}

/// Backward of [`rms_norm`]: adds to `dx` and `dgain`. `dx += r·(dy·gain − x·r²·mean(dy·gain·x))`.
pub(crate) fn rms_norm_backward(
    dx: &mut [f32],
    dgain: &mut [f32],
    dy: &[f32],
    x: &[f32],
    inverse_rms: &[f32],
    gain: &[f32],
) {
    let width = gain.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let rows = dx.chunks_exact_mut(width).zip(dy.chunks_exact(width)).zip(x.chunks_exact(width));
            for (((dx, dy), x), &r) in rows.zip(inverse_rms) {
                let projection = r * r * dot3(dy, gain, x) / width as f32;
                for i in 0..width {
                    dx[i] += r * (dy[i] * gain[i] - x[i] * projection);
                    dgain[i] += dy[i] * x[i] * r;
                }
            }
        },
    );
}

/// `activation = silu(gate) · up` for rows of stacked `[gate | up]`.
pub(crate) fn swiglu(activation: &mut [f32], gate_up: &[f32], width: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (out, row) in activation.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
                let (gate, up) = row.split_at(width);
                for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
                    *o = g * sigmoid(*g) * u;
                }
            }
        },
    );
}

/// Backward of [`swiglu`]: overwrites `gate_up` with its gradient, given the activation's.
pub(crate) fn swiglu_backward(gate_up: &mut [f32], dactivation: &[f32], width: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, dout) in gate_up.chunks_exact_mut(2 * width).zip(dactivation.chunks_exact(width)) {
                let (gate, up) = row.split_at_mut(width);
                for ((g, u), d) in gate.iter_mut().zip(up).zip(dout) {
                    let s = sigmoid(*g);
                    let silu = *g * s;
                    let dgate = d * *u * (s + silu * (1.0 - s));
                    *u = d * silu;
                    *g = dgate;
                }
            }
        },
    );
}

/// Softmax of one row's first `visible` scores after scaling; the rest become 0.
pub(crate) fn masked_softmax(row: &mut [f32], visible: usize, scale: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (seen, hidden) = row.split_at_mut(visible);
            seen.iter_mut().for_each(|s| *s *= scale);
            let (_, total) = exponentiate(seen);
            let inverse = 1.0 / total;
            seen.iter_mut().for_each(|p| *p *= inverse);
            hidden.fill(0.0);
        },
    );
}

/// Backward of [`masked_softmax`]: turns the gradient of the probabilities into that of the unscaled scores.
pub(crate) fn softmax_backward(gradient: &mut [f32], probabilities: &[f32], scale: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mean = dot(gradient, probabilities);
            for (g, p) in gradient.iter_mut().zip(probabilities) {
                *g = scale * p * (*g - mean);
            }
        },
    );
}

/// Cross-entropy of one row of logits, in nats; overwrites the logits with `scale · (softmax − one_hot(target))`.
pub(crate) fn cross_entropy(logits: &mut [f32], target: usize, scale: f32) -> f32 {
    let target_logit = logits[target];
    let (max, total) = Arch::new().dispatch(
        #[inline(always)]
        || {
            let (max, total) = exponentiate(logits);
            let factor = scale / total;
            logits.iter_mut().for_each(|p| *p *= factor);
            (max, total)
        },
    );
    logits[target] -= scale;
    total.ln() + max - target_logit
}

/// `destination += source`.
pub(crate) fn add(destination: &mut [f32], source: &[f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || destination.iter_mut().zip(source).for_each(|(d, s)| *d += s),
    );
}

/// `values *= factor`.
pub(crate) fn scale(values: &mut [f32], factor: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || values.iter_mut().for_each(|v| *v *= factor),
    );
}

/// Sum of squares, in f64 so that four million terms lose nothing that matters.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    // 4,096 f32 terms per partial sum: the product loops stay in SIMD, the total stays exact to about 1e-7.
    Arch::new().dispatch(
        #[inline(always)]
        || values.chunks(4096).map(|c| f64::from(dot(c, c))).sum(),
    )
}

/// Replaces each value by `exp(value − max)`; returns the maximum and the sum.
#[inline(always)]
fn exponentiate(values: &mut [f32]) -> (f32, f32) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l = if *v > *l { *v } else { *l };
        }
    }
    let max = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (s, v) in sums.iter_mut().zip(chunk) {
            *v = exp(*v - max);
            *s += *v;
        }
    }
    let mut total: f32 = sums.iter().sum();
    for v in rest {
        *v = exp(*v - max);
        total += *v;
    }
    (max, total)
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[inline(always)]
fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (c, c_rest) = c.as_chunks::<LANES>();
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i] * c[i];
        }
    }
    let rest = a_rest.iter().zip(b_rest).zip(c_rest).map(|((a, b), c)| a * b * c);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `eˣ` to about 2 ulp, branch-free: `x = n·ln 2 + r`, a degree-6 polynomial in `r`, then `2ⁿ` by its exponent bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to the nearest integer, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 split in two, so that n·LN2_HIGH is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Outside these bounds 2ⁿ would leave the range of normal numbers.
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits().wrapping_shl(23)).wrapping_add(127 << 23));
    p * power
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
