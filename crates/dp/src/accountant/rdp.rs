//! Rényi accountant of the Poisson-subsampled Gaussian mechanism.
//!
//! With z the noise multiplier σ and q the sampling rate, one step releases N(0, σ²) or, with the record added,
//! (1 − q)·N(0, σ²) + q·N(1, σ²). Mironov, Talwar & Zhang, *Rényi Differential Privacy of the Sampled Gaussian Mechanism*
//! (2019), show for every order α > 1 and both directions of add-or-remove-one
//!
//! ```text
//! RDP(α) ≤ ln A(α) / (α − 1),   A(α) = E[ f(Z)^α ],  Z ~ N(0, σ²),  f(z) = 1 − q + q·exp((2z − 1) / 2σ²)
//! ```
//!
//! RDP adds up over steps. The conversion to ε is Proposition 12 of Canonne, Kamath & Steinke (2020), which is Theorem 21 of
//! Balle et al. (2020), at the best of a fixed grid of orders:
//!
//! ```text
//! ε = RDP(α) + ln((α − 1) / α) − (ln δ + ln α) / (α − 1)
//! ```
//!
//! # Numerics
//! Since E[f] = 1, A − 1 = E[f^α − 1 − α(f − 1)], and Bernoulli's inequality makes every part of it non-negative.
//! Summing A − 1 instead of A keeps full relative precision when q is tiny and A is 1 + 10⁻¹², and sums in the log
//! domain do not overflow when it is e^1000. Integer orders use the binomial expansion (section 3.3 of the paper);
//! fractional orders integrate by the trapezoid rule, which converges exponentially for an analytic integrand with
//! Gaussian tails. The relative error is below 10⁻¹¹ against the golden values; [`ROUND_UP`] covers a hundred times it, so
//! that ε and δ never err low.

use std::f64::consts::{LN_2, TAU};

use crate::{Delta, Epsilon};

/// Every stated RDP is enlarged by this factor: a hundred times the numerical error seen, and no visible cost in ε.
const ROUND_UP: f64 = 1.0 + 1e-9;

/// The RDP of one step at every order of the grid; computed once, then ε after any number of steps is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct RdpCurve {
    // (order, RDP of one step at it, rounded up)
    points: Vec<(f64, f64)>,
}

impl RdpCurve {
    /// The curve of one Gaussian step with noise multiplier `noise_multiplier` on a Poisson sample at `sampling_rate`.
    pub fn new(noise_multiplier: f64, sampling_rate: f64) -> Self {
        let rdp = |alpha| rdp_subsampled_gaussian(sampling_rate, noise_multiplier, alpha) * ROUND_UP;
        Self { points: orders().map(|alpha| (alpha, rdp(alpha))).collect() }
    }

    /// The ε at `delta` after `steps` steps; 0 after none.
    pub fn epsilon(&self, steps: u64, delta: Delta) -> f64 {
        if steps == 0 {
            return 0.0;
        }
        let at = |&(alpha, rdp): &(f64, f64)| {
            let slack = (libm::log(delta.get()) + libm::log(alpha)) / (alpha - 1.0);
            steps as f64 * rdp + libm::log1p(-1.0 / alpha) - slack
        };
        self.points.iter().map(at).fold(f64::INFINITY, f64::min).max(0.0) * ROUND_UP
    }

    /// The δ at `epsilon` after `steps` steps; 0 after none, at most 1.
    pub fn delta(&self, steps: u64, epsilon: Epsilon) -> f64 {
        if steps == 0 {
            return 0.0;
        }
        let at = |&(alpha, rdp): &(f64, f64)| {
            let gap = steps as f64 * rdp - epsilon.get() + libm::log1p(-1.0 / alpha);
            libm::exp((alpha - 1.0) * gap - libm::log(alpha))
        };
        self.points.iter().map(at).fold(1.0, f64::min).min(1.0 / ROUND_UP) * ROUND_UP
    }
}

/// The ε at `delta` of `steps` Poisson-subsampled Gaussian steps, rounded up. Infinite without noise, 0 without steps.
pub fn epsilon(noise_multiplier: f64, sampling_rate: f64, steps: u64, delta: Delta) -> f64 {
    RdpCurve::new(noise_multiplier, sampling_rate).epsilon(steps, delta)
}

/// The δ at `epsilon` of `steps` Poisson-subsampled Gaussian steps, rounded up; 1 without noise.
pub fn delta(noise_multiplier: f64, sampling_rate: f64, steps: u64, epsilon: Epsilon) -> f64 {
    RdpCurve::new(noise_multiplier, sampling_rate).delta(steps, epsilon)
}

/// RDP of order `alpha` > 1 of one step: sampling rate `q`, noise multiplier `sigma`.
///
/// Infinite for an argument out of range, so that a mistake can never look private.
pub fn rdp_subsampled_gaussian(q: f64, sigma: f64, alpha: f64) -> f64 {
    let in_range =
        (0.0..=1.0).contains(&q) && sigma > 0.0 && sigma.is_finite() && alpha > 1.0 && alpha.is_finite();
    if !in_range {
        return f64::INFINITY;
    }
    if q == 0.0 {
        return 0.0;
    }
    if q == 1.0 {
        return alpha / (2.0 * sigma * sigma);
    }
    let log_a_minus_1 = if alpha.fract() == 0.0 && alpha <= MAX_BINOMIAL_ORDER {
        binomial(q, sigma, alpha)
    } else if sigma < MIN_QUADRATURE_SIGMA {
        return f64::INFINITY;
    } else {
        quadrature(q, sigma, alpha)
    };
    ln_1p_exp(log_a_minus_1) / (alpha - 1.0)
}

/// The binomial sum has `alpha` terms; beyond this the quadrature is as fast.
const MAX_BINOMIAL_ORDER: f64 = 4096.0;

/// The quadrature's points grow with 1/σ². Below this, where no ε is worth stating, fractional orders are left out, which is a valid bound
/// still; a tiny σ in a stored plan must not keep a worker busy for minutes.
const MIN_QUADRATURE_SIGMA: f64 = 0.05;

/// Orders: dense where the usual ε of 0.5 to 20 find their best one, then sparser up to 1,024 for ε down to 0.02.
fn orders() -> impl Iterator<Item = f64> {
    const NEAR_ONE: [f64; 4] = [1.01, 1.02, 1.05, 1.075];
    const LARGE: [f64; 14] =
        [72.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 224.0, 256.0, 320.0, 384.0, 512.0, 768.0, 1024.0];
    let tenths = (11..=120).map(|tenth| f64::from(tenth) / 10.0);
    let units = (13..=64).map(f64::from);
    NEAR_ONE.into_iter().chain(tenths).chain(units).chain(LARGE)
}

/// ln(A − 1) at an integer order: Σₖ₌₂ C(α, k) (1 − q)^(α − k) q^k (exp((k² − k) / 2σ²) − 1).
fn binomial(q: f64, sigma: f64, alpha: f64) -> f64 {
    let (ln_q, ln_not_q) = (libm::log(q), libm::log1p(-q));
    let mut sum = LogSum::default();
    let mut ln_choose = libm::log(alpha);
    let mut k = 2.0;
    while k <= alpha {
        ln_choose += libm::log((alpha - k + 1.0) / k);
        let exponent = k * (k - 1.0) / (2.0 * sigma * sigma);
        sum.add(ln_choose + (alpha - k) * ln_not_q + k * ln_q + ln_exp_m1(exponent));
        k += 1.0;
    }
    sum.ln()
}

/// ln(A − 1) at any order: ∫ φ(z) (f^α − 1 − α(f − 1)) dz by the trapezoid rule.
fn quadrature(q: f64, sigma: f64, alpha: f64) -> f64 {
    // The integrand is a mix of Gaussians of deviation σ with centres from 0 to α; 12σ beyond them lies e^-72 of it.
    const TAIL: f64 = 12.0;
    // The error of the rule is about exp(−2π²σ²/h²) for the Gaussian and exp(−2π²σ²/h) for the nearest zero of f, which is
    // πσ² off the real axis. Both are below 1e-25 with this step.
    let step = (sigma / 4.0).min(sigma * sigma / 3.0);
    let points = ((alpha + 2.0 * TAIL * sigma) / step).ceil() as u64;
    let mut sum = LogSum::default();
    for i in 0..=points {
        let z = i as f64 * step - TAIL * sigma;
        let deviations = z / sigma;
        sum.add(
            ln_bernoulli_gap(q, alpha, (2.0 * z - 1.0) / (2.0 * sigma * sigma))
                - deviations * deviations / 2.0,
        );
    }
    sum.ln() + libm::log(step / sigma) - libm::log(TAU) / 2.0
}

/// ln(f^α − 1 − α(f − 1)) with f = 1 − q + q·e^w.
fn ln_bernoulli_gap(q: f64, alpha: f64, w: f64) -> f64 {
    let ln_f = if w < 30.0 {
        libm::log1p(q * libm::expm1(w))
    } else {
        w + libm::log(q) + libm::log1p((1.0 - q) / q * libm::exp(-w))
    };
    let (t, y) = (libm::expm1(ln_f), alpha * ln_f);
    if (alpha * t).abs() < 0.02 {
        return libm::log(binomial_series_from_square(alpha, t));
    }
    if y > 30.0 {
        // (1 + αt) / f^α, in parts that cannot overflow.
        let ratio = (1.0 - alpha) * libm::exp(-y) + alpha * libm::exp(ln_f - y);
        return y + libm::log1p(-ratio);
    }
    libm::log(libm::expm1(y) - alpha * t)
}

/// (1 + t)^α − 1 − αt = Σₖ₌₂ C(α, k) t^k for small αt, where the closed form would cancel.
fn binomial_series_from_square(alpha: f64, t: f64) -> f64 {
    // |αt| < 0.02 shrinks each further term by 100 or more: ten terms reach 1e-20.
    let tail = (3..=10).rev().map(f64::from).fold(1.0, |tail, k| 1.0 + tail * t * (alpha - k + 1.0) / k);
    alpha * (alpha - 1.0) / 2.0 * t * t * tail
}

/// ln(e^x − 1) for x > 0.
fn ln_exp_m1(x: f64) -> f64 {
    if x > LN_2 { x + libm::log1p(-libm::exp(-x)) } else { libm::log(libm::expm1(x)) }
}

/// ln(1 + e^x).
fn ln_1p_exp(x: f64) -> f64 {
    if x > 0.0 { x + libm::log1p(libm::exp(-x)) } else { libm::log1p(libm::exp(x)) }
}

/// A sum of positive numbers given by their logarithms, scaled by the largest so far.
struct LogSum {
    largest: f64,
    scaled: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self { largest: f64::NEG_INFINITY, scaled: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, ln_term: f64) {
        if ln_term == f64::NEG_INFINITY {
            return;
        }
        if ln_term > self.largest {
            self.scaled *= libm::exp(self.largest - ln_term);
            self.largest = ln_term;
        }
        self.scaled += libm::exp(ln_term - self.largest);
    }

    fn ln(&self) -> f64 {
        self.largest + libm::log(self.scaled)
    }
}

#[cfg(test)]
#[path = "rdp_tests.rs"]
mod tests;
