//! Poisson sampling of a step's batch.
//!
//! # Contract
//! Each of `records` is in the batch with probability ⌊q·2⁶⁴⌋ / 2⁶⁴, independently of all others and of other
//! steps. That is at most the accounted rate q, and by less than 2⁻⁶⁴: privacy amplification by sampling is monotone
//! in q, so the accounted ε holds. A batch may be empty, and the caller must still add noise then.

use rand::CryptoRng;

/// Draws the indices, in ascending order, of the records in one step's batch.
///
/// A `sampling_rate` of 1 or more takes every record, of 0 or less (or NaN) none.
pub fn sample_batch(rng: &mut impl CryptoRng, records: usize, sampling_rate: f64) -> Vec<usize> {
    let threshold = threshold(sampling_rate);
    (0..records).filter(|_| u128::from(rng.next_u64()) < threshold).collect()
}

/// ⌊q·2⁶⁴⌋. The product is exact (a power of two only moves the exponent); the cast rounds down and takes NaN to 0.
fn threshold(sampling_rate: f64) -> u128 {
    const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;
    if sampling_rate >= 1.0 { 1 << 64 } else { (sampling_rate * TWO_POW_64) as u128 }
}

#[cfg(test)]
#[path = "poisson_tests.rs"]
mod tests;
