//! The loops that take the time: matrix times rows, norms and one row's attention.
//!
//! A matrix product reads each weight row once for all rows of the input, which find it in the first-level cache; the compiler
//! turns a dot product's sixteen running sums into vectors of whatever width there is. (Tiles of two or four input rows
//! were slower, for their sums did not stay in registers.) Natively the AVX2 form is chosen at run time; in a browser
//! the module is built with 128-bit SIMD.

/// Running sums of one dot product: two AVX2 registers, four of 128 bits, enough to hide the latency of an addition.
const LANES: usize = 16;

/// `y = x·Wᵀ` for rows `x [rows, width]` and `W [outputs, width]`; gives `[rows, outputs]`.
pub(super) fn linear(x: &[f32], weight: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / width * (weight.len() / width)];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA, as the line above asked it.
        unsafe { linear_avx2(x, weight, width, &mut y) };
        return y;
    }
    linear_inline::<false>(x, weight, width, &mut y);
    y
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn linear_avx2(x: &[f32], weight: &[f32], width: usize, y: &mut [f32]) {
    linear_inline::<true>(x, weight, width, y);
}

#[inline(always)]
fn linear_inline<const FUSED: bool>(x: &[f32], weight: &[f32], width: usize, y: &mut [f32]) {
    let outputs = weight.len() / width;
    for (output, weight) in weight.chunks_exact(width).enumerate() {
        for (row, x) in x.chunks_exact(width).enumerate() {
            y[row * outputs + output] = dot_inline::<FUSED>(weight, x);
        }
    }
}

/// Inner product of two vectors of one length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_inline::<false>(a, b)
}

#[inline(always)]
fn dot_inline<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            // Without hardware for it, `mul_add` is a call into the mathematical library.
            sums[lane] =
                if FUSED { a[lane].mul_add(b[lane], sums[lane]) } else { sums[lane] + a[lane] * b[lane] };
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}

/// `g ∘ x / √(mean(x²) + ε)` of each row (Zhang & Sennrich 2019, eq. 4).
pub(super) fn rms_norm(x: &[f32], gain: &[f32], epsilon: f64) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(gain.len()) {
        let scale = 1.0 / (dot(row, row) / gain.len() as f32 + epsilon as f32).sqrt();
        y.extend(row.iter().zip(gain).map(|(value, gain)| value * scale * gain));
    }
    y
}

/// `silu(gate) ∘ up` in place of `gate` (Shazeer 2020).
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

/// `x += y`.
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Turns each head's channel pairs (i, i + d/2) of one row by `position` times their frequency (Su et al. 2021).
pub(super) fn rotate(row: &mut [f32], position: usize, frequencies: &[f64]) {
    let turns: Vec<(f32, f32)> = frequencies
        .iter()
        .map(|frequency| (position as f64 * frequency).sin_cos())
        .map(|(sin, cos)| (sin as f32, cos as f32))
        .collect();
    for head in row.chunks_exact_mut(2 * turns.len()) {
        let (left, right) = head.split_at_mut(turns.len());
        for ((a, b), (sin, cos)) in left.iter_mut().zip(right).zip(&turns) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// `softmax(q·Kᵀ/√d)·V` of one head, written to `output [d]`.
pub(super) fn attend<'a>(
    query: &[f32],
    keys: impl Iterator<Item = &'a [f32]>,
    values: impl Iterator<Item = &'a [f32]>,
    output: &mut [f32],
) {
    let scale = 1.0 / (query.len() as f32).sqrt();
    let mut weights: Vec<f32> = keys.map(|key| scale * dot(query, key)).collect();
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for weight in &mut weights {
        *weight = (*weight - largest).exp();
        total += *weight;
    }
    output.fill(0.0);
    for (weight, value) in weights.iter().zip(values) {
        for (output, value) in output.iter_mut().zip(value) {
            *output += weight / total * value;
        }
    }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
