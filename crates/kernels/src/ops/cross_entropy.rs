//! Cross-entropy of a row of logits, and its gradient in place.

use super::elementary::tanh;
use super::{exponentials, largest};
use crate::isa::for_each_isa;

/// Logits that are worked on while they lie in the first-level cache.
const BLOCK: usize = 2048;

/// Replaces a row by what its softmax is proportional to within each block; returns the blocks' shifts and the logarithm of
/// the sum of exponentials.
///
/// Each block is shifted by its own maximum, so that one pass over memory does what finding the row's maximum first would
/// need two for. `shifts` holds one value for each block.
#[inline(always)]
fn block_exponentials(row: &mut [f32], shifts: &mut [f32]) -> f64 {
    let mut sums = [0.0f32; MAX_BLOCKS];
    for ((block, shift), sum) in row.chunks_mut(BLOCK).zip(shifts.iter_mut()).zip(&mut sums) {
        *shift = largest(block);
        *sum = exponentials(block, *shift);
    }
    let top = largest(shifts);
    let parts = shifts.iter().zip(&sums);
    let total: f64 = parts.map(|(shift, sum)| f64::from(*shift - top).exp() * f64::from(*sum)).sum();
    f64::from(top) + total.ln()
}

/// Vocabularies of up to a million entries.
const MAX_BLOCKS: usize = 512;

#[inline(always)]
fn log_sum_and_factors(row: &mut [f32], weight: f32, factors: &mut [f32; MAX_BLOCKS]) -> f64 {
    let blocks = row.len().div_ceil(BLOCK);
    assert!(blocks <= MAX_BLOCKS, "a vocabulary of more than a million entries");
    let log_sum = block_exponentials(row, &mut factors[..blocks]);
    for factor in &mut factors[..blocks] {
        *factor = weight * (f64::from(*factor) - log_sum).exp() as f32;
    }
    log_sum
}

for_each_isa! {
    /// Replaces logits by `weight · (softmax − one-hot of the target)`; returns −ln p(target).
    ///
    /// # Panics
    /// If the target lies outside of the row.
    pub fn cross_entropy(row: &mut [f32], target: usize, weight: f32) -> f64 {
        let logit = f64::from(row[target]);
        let mut factors = [0.0; MAX_BLOCKS];
        let log_sum = log_sum_and_factors(row, weight, &mut factors);
        for (block, factor) in row.chunks_mut(BLOCK).zip(&factors) {
            block.iter_mut().for_each(|x| *x *= factor);
        }
        row[target] -= weight;
        log_sum - logit
    }

    /// Replaces z by `cap · tanh(z / cap)`.
    pub fn soft_cap(row: &mut [f32], cap: f32) {
        row.iter_mut().for_each(|z| *z = cap * tanh(*z / cap));
    }

    /// Multiplies a gradient by the slope of [`soft_cap`], given what it returned.
    pub fn soft_cap_backward(capped: &[f32], cap: f32, gradient: &mut [f32]) {
        for (z, g) in capped.iter().zip(gradient) {
            *g *= 1.0 - z / cap * (z / cap);
        }
    }

    /// [`block_exponentials`] with the factors that complete it.
    fn prepare(row: &mut [f32], weight: f32, factors: &mut [f32; MAX_BLOCKS]) -> f64 {
        log_sum_and_factors(row, weight, factors)
    }
}

/// [`cross_entropy`] whose gradient is rounded to pairs of bf16; the row is left undefined.
///
/// # Panics
/// As [`cross_entropy`], and as [`crate::round`].
pub fn cross_entropy_pairs(
    isa: crate::Isa,
    row: &mut [f32],
    target: usize,
    weight: f32,
    out: &mut [u32],
) -> f64 {
    let logit = f64::from(row[target]);
    let mut factors = [0.0; MAX_BLOCKS];
    let log_sum = prepare(isa, row, weight, &mut factors);
    let blocks = row.chunks_mut(BLOCK).zip(out.chunks_mut(BLOCK / 2)).zip(&factors).enumerate();
    for (index, ((block, out), factor)) in blocks {
        super::scale(isa, block, *factor);
        if index == target / BLOCK {
            block[target % BLOCK] -= weight;
        }
        crate::round(isa, block, out);
    }
    log_sum - logit
}
