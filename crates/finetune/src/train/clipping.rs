//! Clipping: the bound on what one record can add to the sum.

use crate::ops::matrix::squared_norm;

/// A scaled value is rounded to f32 by at most 2⁻²⁴ of its size; shrinking by 2⁻²⁰ keeps the norm at or below C all the
/// same.
const ROUNDING_MARGIN: f64 = 1.0 - 1.0 / (1u64 << 20) as f64;

/// Scales `gradient` so that its L2 norm is at most `max_norm` (Abadi et al. 2016, algorithm 1, "clip gradient").
///
/// A gradient with a NaN or an infinity becomes zero: an error would tell that the record was in the batch.
pub(crate) fn clip(gradient: &mut [f32], max_norm: f64) {
    let norm = squared_norm(gradient).sqrt();
    if !norm.is_finite() {
        gradient.fill(0.0);
    } else if norm > max_norm {
        let factor = max_norm / norm * ROUNDING_MARGIN;
        gradient.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}

#[cfg(test)]
#[path = "clipping_tests.rs"]
mod tests;
