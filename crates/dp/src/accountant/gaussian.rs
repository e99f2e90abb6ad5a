//! Exact accountant of the plain Gaussian mechanism.
//!
//! # Contract
//! N(0, σ²) noise on a value of L2 sensitivity 1 is (ε, δ)-DP for neighbours in either direction exactly when
//!
//! ```text
//! δ ≥ Φ(1/2σ − εσ) − e^ε·Φ(−1/2σ − εσ)
//! ```
//!
//! (Balle & Wang, *Improving the Gaussian Mechanism for Differential Privacy* (2018), Theorem 8). σ is the noise multiplier; T
//! releases are one with σ/√T. The answer is rounded up, by a part in 10⁹ at most.
//!
//! # Numerics
//! With a = εσ − 1/2σ, b = εσ + 1/2σ and Mills' ratio R = Φ(−·)/φ, the difference is φ(a)·(R(a) − R(b)), since
//! e^ε·φ(b) = φ(a). For large σ the two ratios nearly cancel; there their difference is the integral of −R′(t) = 1 − t·R(t),
//! which is positive, by Gauss–Legendre quadrature.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2, TAU};

use super::quadrature::{FIVE_NODES, over};
use crate::Delta;

/// Covers the rounding errors of about a hundred operations, a thousand times over.
const ROUND_UP: f64 = 1.0 + 1e-9;

/// The least δ at `epsilon` ≥ 0 of one Gaussian release, rounded up. An argument out of range gives 1: no privacy.
pub fn delta(noise_multiplier: f64, epsilon: f64) -> f64 {
    if !(noise_multiplier > 0.0 && noise_multiplier.is_finite() && epsilon >= 0.0) {
        return 1.0;
    }
    (exact_delta(noise_multiplier, epsilon) * ROUND_UP).min(1.0)
}

/// The least ε at `delta` of one Gaussian release, rounded up; 0 where δ covers it all. Without noise it is +∞.
pub fn epsilon(noise_multiplier: f64, delta: Delta) -> f64 {
    if !(noise_multiplier > 0.0 && noise_multiplier.is_finite()) {
        return f64::INFINITY;
    }
    let within = |epsilon| self::delta(noise_multiplier, epsilon) <= delta.get();
    if within(0.0) {
        return 0.0;
    }
    // δ ≤ Φ(−a) ≤ exp(−a²/2): this ε is enough.
    let half = 0.5 / noise_multiplier;
    let (mut low, mut high) =
        (0.0, ((-2.0 * libm::log(delta.get())).sqrt() + half) / noise_multiplier * ROUND_UP);
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            // The rounding of εσ − 1/2σ is far below a part in 10⁹ of ε.
            return high * ROUND_UP;
        }
        if within(middle) { high = middle } else { low = middle }
    }
}

fn exact_delta(sigma: f64, epsilon: f64) -> f64 {
    let half = 0.5 / sigma;
    let (a, b) = (epsilon * sigma - half, epsilon * sigma + half);
    let density = libm::exp(-a * a / 2.0) / TAU.sqrt();
    if b - a < 0.1 {
        density * over(a, b, &FIVE_NODES).map(|(t, weight)| weight * (1.0 - t * mills_ratio(t))).sum::<f64>()
    } else if a > 0.0 {
        density * (mills_ratio(a) - mills_ratio(b))
    } else {
        libm::erfc(a * FRAC_1_SQRT_2) / 2.0 - density * mills_ratio(b)
    }
}

/// Φ(−x)/φ(x), for x above −1, to 10⁻¹³.
fn mills_ratio(x: f64) -> f64 {
    // exp(x²/2)·erfc(x/√2) loses about x² units in the last place, so far out the asymptotic series takes over; its first
    // term left out is 945/x¹⁰ < 1e-12 of the whole, and with the sign that makes the sum too large.
    if x < 30.0 {
        return libm::exp(x * x / 2.0) * libm::erfc(x / SQRT_2) * TAU.sqrt() / 2.0;
    }
    let s = 1.0 / (x * x);
    (1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s * (1.0 - 7.0 * s)))) / x
}

#[cfg(test)]
#[path = "gaussian_tests.rs"]
mod tests;
