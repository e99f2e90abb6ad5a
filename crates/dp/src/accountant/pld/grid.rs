//! Privacy losses on a grid: connect the dots.
//!
//! # Contract
//! A [`Pmf`] holds P-masses on the multiples of a step h. It dominates the release it was made from: no test between P and
//! Q gets harder, in either direction, so that composing it in its place can only overstate ε and δ.
//!
//! # Proof sketch
//! An atom of P-mass p at ℓ ∈ [kh, (k+1)h] is replaced by p·(1 − s) at kh and p·s at (k+1)h with
//!
//! ```text
//! s = (1 − e^−u) / (1 − e^−h),   u = ℓ − kh
//! ```
//!
//! the one share that keeps the P-mass and the Q-mass Σ p·e^−ℓ both. Merging the two points again gives the atom back, so the
//! replaced pair can simulate the original one (Blackwell). Its hockey-stick curve joins the original's values at the grid lines
//! by chords in e^ε: Algorithm 1 of Doroshenko, Ghazi, Kamath, Kumar & Manurangsi, *Connect the Dots* (2022), found there
//! from differences of that curve. Splitting atoms instead has no cancellation and keeps relative precision in the far tails.
//!
//! Splitting an atom adds a variance of u·(h − u) to the loss and half of that to its mean: what the grid costs. A loss below the
//! floor is raised to it, which keeps its P-mass and lowers its Q-mass; the Q-mass that is left over has no P-mass at all, and so
//! helps a test only.

use super::loss::{Lines, Release};

/// P-masses of one release on the multiples of a step.
#[derive(Debug)]
pub(super) struct Pmf {
    step: f64,
    // Line of the first mass.
    first: i64,
    masses: Vec<f64>,
}

impl Pmf {
    /// Splits every atom of `release` onto the multiples of `step`; losses below `floor` are raised to it.
    pub(super) fn discretise(release: &Release, step: f64, floor: f64) -> Self {
        let (low, high) = release.bounds();
        let (low, high) = (low.max(floor), high.max(floor));
        // A line of slack on both sides, for roundings at the ends.
        let first = (low / step).floor() as i64 - 1;
        let last = (high / step).ceil() as i64 + 1;
        let mut masses = vec![0.0; (last - first + 1) as usize];
        let whole = -libm::expm1(-step);
        release.for_each_atom(Some(Lines { step, low, high }), |mass, loss| {
            let loss = loss.max(floor);
            let line = (loss / step).floor();
            let up = (-libm::expm1(line * step - loss) / whole).clamp(0.0, 1.0);
            let index = (line as i64 - first) as usize;
            masses[index] += mass * (1.0 - up);
            masses[index + 1] += mass * up;
        });
        Self { step, first, masses }
    }

    /// (line, mass) of every line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (i64, f64)> {
        (self.first..).zip(self.masses.iter().copied())
    }

    /// ln Σ m·e^tℓ.
    pub(super) fn ln_mgf(&self, t: f64) -> f64 {
        let exponents =
            || self.lines().filter(|&(_, m)| m > 0.0).map(|(line, m)| (t * self.step * line as f64, m));
        let shift =
            exponents().map(|(exponent, mass)| exponent + libm::log(mass)).fold(f64::NEG_INFINITY, f64::max);
        shift + libm::log(exponents().map(|(exponent, mass)| mass * libm::exp(exponent - shift)).sum())
    }
}

#[cfg(test)]
#[path = "grid_tests.rs"]
mod tests;
