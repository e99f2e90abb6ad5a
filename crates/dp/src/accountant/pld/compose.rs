//! Composition by FFT, of tilted distributions, rounded up.
//!
//! # Contract
//! [`Composition`] holds, for each line of a window, no less than the tilted P-mass of the sum of all losses there.
//!
//! # Why it never errs low
//! * The transform is cyclic: mass from outside the window lands inside. That adds mass; what is missing above the window is
//!   bounded by Chernoff and kept in `beyond`.
//! * Every output of an FFT is a sum in which each input passes log₂ N butterflies, so its rounding error is at most
//!   c·log₂ N·u·Σ|input| with u = 2⁻⁵³ and c below 5: a complex product, a twiddle and a sum each (Higham, *Accuracy and Stability of Numerical Algorithms*, section 24.1).
//!   Inputs are masses that add up to 1. With η this bound, plus the error of squaring, the T-th power of an entry F is off by
//!   at most (|F| + η)^T − |F|^T; summed over frequencies this bounds the error of every mass, and is added to each.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::grid::Pmf;

/// The tilted distribution of a composed loss on a window of grid lines, each mass rounded up.
#[derive(Debug)]
pub(super) struct Composition {
    pub(super) step: f64,
    /// Line of the first mass.
    pub(super) first: i64,
    pub(super) masses: Vec<f64>,
    pub(super) tilt: f64,
    /// ln E[e^θL]: a mass m at loss y stands for the P-mass m·e^(ln_mgf − θy).
    pub(super) ln_mgf: f64,
    /// A bound on the P-mass above the window.
    pub(super) beyond: f64,
}

/// The tilts and the window of a composition: `len` lines (a power of two) from line `first` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) step: f64,
    pub(super) first: i64,
    pub(super) len: usize,
    pub(super) tilt: f64,
    /// With which the mass above the window is bounded.
    pub(super) tilt_above: f64,
}

/// Composes each part as often as its count.
pub(super) fn compose(parts: &[(Pmf, u64)], plan: Plan) -> Composition {
    let Plan { step, first, len, tilt, tilt_above } = plan;
    // The scalar planner, not the widest vectors of the host: a stated ε should not depend on where it was computed.
    let mut planner = FftPlannerScalar::new();
    let mut product = Product::new(len);
    let (mut ln_mgf, mut ln_mgf_above) = (0.0, 0.0);
    for (pmf, count) in parts {
        let one = pmf.ln_mgf(tilt);
        ln_mgf += *count as f64 * one;
        ln_mgf_above += *count as f64 * pmf.ln_mgf(tilt_above);
        product.multiply(&planner.plan_fft_forward(len), pmf, |loss| tilt * loss - one, step, *count);
    }
    let end = (first + len as i64) as f64 * step;
    let beyond = libm::exp((ln_mgf_above - tilt_above * end).min(0.0));
    let masses = product.into_masses(&planner.plan_fft_inverse(len), first);
    Composition { step, first, masses, tilt, ln_mgf, beyond }
}

/// The transform of a composition, and a bound on the size of each entry.
struct Product {
    // The upper half follows: transforms of real masses are Hermitian.
    entries: Vec<Complex<f64>>,
    largest: Vec<f64>,
    buffer: Vec<Complex<f64>>,
}

impl Product {
    fn new(len: usize) -> Self {
        let half = len / 2 + 1;
        Self { entries: vec![Complex::ONE; half], largest: vec![1.0; half], buffer: vec![Complex::ZERO; len] }
    }

    /// η: the largest error of an entry of a transform of masses that add up to 1, and of one squaring.
    fn entry_error(&self) -> f64 {
        5.0 * f64::from(self.buffer.len().ilog2() + 1) * f64::EPSILON / 2.0
    }

    fn multiply(
        &mut self,
        transform: &Arc<dyn Fft<f64>>,
        pmf: &Pmf,
        ln_weight: impl Fn(f64) -> f64,
        step: f64,
        count: u64,
    ) {
        let (error, mask) = (self.entry_error(), self.buffer.len() as i64 - 1);
        self.buffer.fill(Complex::ZERO);
        for (line, mass) in pmf.lines().filter(|&(_, mass)| mass > 0.0) {
            // The length is a power of two: a mask is the remainder, for negative lines too.
            self.buffer[(line & mask) as usize].re += mass * libm::exp(ln_weight(line as f64 * step));
        }
        transform.process(&mut self.buffer);
        for ((entry, largest), factor) in self.entries.iter_mut().zip(&mut self.largest).zip(&self.buffer) {
            *largest *= power(factor.norm_sqr().sqrt() + error, count);
            *entry *= power(*factor, count);
        }
    }

    fn into_masses(mut self, inverse: &Arc<dyn Fft<f64>>, first: i64) -> Vec<f64> {
        let (len, error) = (self.buffer.len(), self.entry_error());
        let bound =
            |(entry, &largest): (&Complex<f64>, &f64)| (largest - entry.norm_sqr().sqrt()) + error * largest;
        // Twice, for the half that is not stored.
        let sum: f64 = self.entries.iter().zip(&self.largest).map(bound).sum();
        let error = 2.0 * sum / len as f64;
        self.buffer[..=len / 2].copy_from_slice(&self.entries);
        for (index, entry) in self.entries[1..len / 2].iter().enumerate() {
            self.buffer[len - 1 - index] = entry.conj();
        }
        self.entries = Vec::new();
        inverse.process(&mut self.buffer);
        let at = |index: i64| self.buffer[((first + index) & (len as i64 - 1)) as usize].re;
        (0..len as i64).map(|index| (at(index) / len as f64).max(0.0) + error).collect()
    }
}

/// `base`^`exponent` by repeated squaring. What has fallen below 10⁻¹⁵⁰ is 0, before slow denormal numbers.
fn power<T: Power>(mut base: T, mut exponent: u64) -> T {
    let mut result = T::ONE;
    loop {
        if exponent & 1 == 1 {
            result = result * base;
        }
        exponent >>= 1;
        if exponent == 0 {
            return result;
        }
        base = base * base;
        if base.is_negligible() {
            return T::ZERO;
        }
    }
}

trait Power: Copy + std::ops::Mul<Output = Self> {
    const ZERO: Self;
    const ONE: Self;
    fn is_negligible(self) -> bool;
}

impl Power for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn is_negligible(self) -> bool {
        self < 1e-150
    }
}

impl Power for Complex<f64> {
    const ZERO: Self = Complex::ZERO;
    const ONE: Self = Complex::ONE;

    fn is_negligible(self) -> bool {
        self.norm_sqr() < 1e-300
    }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
