//! Uniform integers.

use rand::CryptoRng;

/// Uniform over 0 … `bound` − 1: takes as many random bits as `bound` − 1 has and rejects what is too large, so that
/// each value has exactly the same chance. Fewer than two tries on average; each takes one 64-bit word's upper bits.
pub(crate) fn uniform_below(rng: &mut impl CryptoRng, bound: u64) -> u64 {
    let unused_bits = (bound - 1).leading_zeros();
    loop {
        // A bound of 1 would shift by all 64 bits, which `checked_shr` refuses: the one value is 0.
        let draw = rng.next_u64().checked_shr(unused_bits).unwrap_or(0);
        if draw < bound {
            return draw;
        }
    }
}

#[cfg(test)]
#[path = "uniform_tests.rs"]
mod tests;
