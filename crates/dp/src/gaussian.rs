//! Gaussian noise.
//!
//! # Contract
//! [`sample`] gives a draw X of the standard normal distribution; [`add_noise`] adds σ·X to each value, each with its own
//! draw. On a sum of vectors of L2 norm at most C with σ = z·C it is the Gaussian mechanism of noise multiplier z.
//!
//! # Floating point
//! A textbook sampler gives only some of the doubles, and which ones depends on the noise-free value: from the low bits of
//! a release one can at times tell the value (Mironov 2012). Holohan & Braghin, *Secure Random Sampling in Differential
//! Privacy* (2021), make this search infeasible: with X₁ … X₄ independent standard normals from Box–Muller,
//!
//! ```text
//! X = (X₁ + X₂ + X₃ + X₄) / 2
//! ```
//!
//! is standard normal again (variance 4/4). Whoever sees X and guesses the value would have to search the uniforms
//! behind it: with one Box–Muller draw that is a search over one 53-bit uniform at a time, with the sum it is a joint
//! search over four of them. Each uniform is an integer in 1 … 2⁵³ times 2⁻⁵³, so that the logarithm is always
//! finite; the largest |X| is √2·√(2·53·ln 2) ≈ 12.1, far beyond any tail that δ could notice. The sum with the
//! value is taken in f64 and then rounded to f32, which is post-processing of what the mechanism released.
//!
//! What this is not: an exact discrete Gaussian. The accountant speaks of the real-valued mechanism.

use std::f64::consts::TAU;

use rand::CryptoRng;

/// Adds independent draws of N(0, `standard_deviation`²) to every value.
///
/// Takes f64 logarithms and sines from `libm`, so that a replayed step gets the same bits on another host.
pub fn add_noise(rng: &mut impl CryptoRng, standard_deviation: f64, values: &mut [f32]) {
    for value in values {
        *value = (f64::from(*value) + standard_deviation * sample(rng)) as f32;
    }
}

/// One draw of the standard normal distribution: half the sum of four Box–Muller draws.
pub fn sample(rng: &mut impl CryptoRng) -> f64 {
    let [a, b] = box_muller(rng);
    let [c, d] = box_muller(rng);
    ((a + b) + (c + d)) / 2.0
}

/// Box & Muller (1958): two independent standard normals from two uniforms.
fn box_muller(rng: &mut impl CryptoRng) -> [f64; 2] {
    let radius = (-2.0 * libm::log(uniform(rng))).sqrt();
    let (sine, cosine) = libm::sincos(TAU * uniform(rng));
    [radius * cosine, radius * sine]
}

/// Uniform over {1, …, 2⁵³}·2⁻⁵³: never zero, and each is an exact f64.
fn uniform(rng: &mut impl CryptoRng) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
    ((rng.next_u64() >> 11) + 1) as f64 * SCALE
}

#[cfg(test)]
#[path = "gaussian_tests.rs"]
mod tests;
