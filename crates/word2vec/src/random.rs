//! Reproducible random numbers for sampling: one stream for each training step.
//!
//! SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"). Nothing private hangs on it.

/// A stream of 64-bit numbers, given by its seed and its number.
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream `number` of `seed`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        // Both go through the mixer, so that neighbouring seeds and neighbouring streams have nothing in common.
        Self(mix(seed.wrapping_add(GAMMA)) ^ mix(number.wrapping_mul(GAMMA).wrapping_add(1)))
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// Uniform below `end`, with a bias of at most `end`/2³².
    #[inline(always)]
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (((self.next() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// Uniform in [0, 1), in steps of 2⁻²⁴.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 * (1.0 / 16_777_216.0)
    }
}

/// 2⁶⁴ divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
