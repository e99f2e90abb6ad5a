//! Elementwise and row-wise kernels: plain Rust without branches in the inner loops, which the compiler vectorises for each
//! instruction set.
//!
//! Sums run in 32 independent lanes, so that they vectorise and lose less to rounding than one after the other.

mod activation;
mod attention;
mod cross_entropy;
mod elementary;
mod norm;
mod rotation;
mod rows;

pub use activation::{Activation, activate, activate_backward, gate, gate_backward};
pub use attention::{Span, attention_probabilities, attention_scores_backward};
pub use cross_entropy::{cross_entropy, cross_entropy_pairs, soft_cap, soft_cap_backward};
pub use norm::{layer_norm, layer_norm_backward, rms_norm, rms_norm_backward};
pub use rotation::rotate;
pub use rows::{add, add_to_rows, dot, scale, transpose};

/// Independent sums of a reduction.
const LANES: usize = 32;

/// Σ f(i) over `0 .. length`.
#[inline(always)]
fn sum(length: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let whole = length / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += f(first + lane);
        }
    }
    let rest: f32 = (whole..length).map(&f).sum();
    rest + sums.iter().sum::<f32>()
}

/// The largest value; −∞ of none.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (largest, value) in lanes.iter_mut().zip(chunk) {
            *largest = if *value > *largest { *value } else { *largest };
        }
    }
    rest.iter().chain(&lanes).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Replaces each x by `exp(x − shift)`; returns their sum.
#[inline(always)]
fn exponentials(values: &mut [f32], shift: f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for chunk in whole {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *value = elementary::exp(*value - shift);
            *sum += *value;
        }
    }
    let mut sum = 0.0;
    for value in rest {
        *value = elementary::exp(*value - shift);
        sum += *value;
    }
    sum + sums.iter().sum::<f32>()
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
