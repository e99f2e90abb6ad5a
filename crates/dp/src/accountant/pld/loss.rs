//! The privacy loss of one release, as a stream of atoms.
//!
//! For neighbouring data sets with output distributions P and Q the privacy loss is ℓ = ln P(x)/Q(x) with x drawn from P.
//! Three pairs cover every [`EventKind`](crate::accountant::EventKind):
//!
//! | release | P | Q | why the pair dominates all neighbours |
//! |---|---|---|---|
//! | Gaussian on a Poisson sample | (1 − q)·N(0, σ²) + q·N(1, σ²) | N(0, σ²) | Zhu, Dong & Wang (2022), Theorem 11, for removing the record; adding it swaps P and Q |
//! | Laplace | Lap(0, b) | Lap(1, b) | a shift by the whole sensitivity is the worst |
//! | pure ε-DP | ±ε with odds e^ε : 1 | the same, swapped | Kairouz, Oh & Viswanath (2015), Theorem 2 of randomised response |
//!
//! An atom is a pair (P-mass, ℓ); its Q-mass is P-mass·e^−ℓ. A continuous part becomes atoms by Gauss–Legendre
//! quadrature on pieces so short that the rule's error is about that of the arithmetic; pieces also end wherever the loss
//! crosses a grid line, so that the splitting of [`grid`](super::grid) is smooth on each. All terms are positive.

use std::f64::consts::TAU;

use crate::accountant::quadrature::{FIVE_NODES, THREE_NODES, TWO_NODES, over};

/// Losses beyond this are no privacy that could be worth a number; the limit bounds time and keeps exponents in range.
pub(super) const MAX_LOSS: f64 = 1e4;
/// Below this the signal is twenty times the noise. Bounds the number of quadrature nodes, which grows with 1/σ².
pub(super) const MIN_NOISE_MULTIPLIER: f64 = 0.05;

/// One release of a mechanism, by its dominating pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Release {
    /// Poisson-subsampled Gaussian.
    Gaussian(SubsampledGaussian),
    /// Laplace noise: 1/b.
    Laplace { shift: f64 },
    /// Pure ε-DP.
    Pure { epsilon: f64 },
}

impl Release {
    /// Least and largest loss of any atom.
    pub(super) fn bounds(&self) -> (f64, f64) {
        match *self {
            Self::Gaussian(gaussian) => {
                let (low, high) = gaussian.range();
                let (low, high) = (gaussian.loss(low), gaussian.loss(high));
                if gaussian.adding { (-high, -low) } else { (low, high) }
            }
            Self::Laplace { shift: bound } | Self::Pure { epsilon: bound } => (-bound, bound),
        }
    }

    /// A bound on the P-mass that no atom stands for.
    pub(super) fn outside(&self) -> f64 {
        match self {
            // Twice Φ(−t) ≤ exp(−t²/2)/2, for both components of the mixture at once.
            Self::Gaussian(gaussian) => libm::exp(-gaussian.tail * gaussian.tail / 2.0),
            Self::Laplace { .. } | Self::Pure { .. } => 0.0,
        }
    }

    /// Hands every atom to `visit` as (P-mass, loss). With `lines`, fine enough to be split onto them; without, only for
    /// smooth functions of the loss.
    pub(super) fn for_each_atom(&self, lines: Option<Lines>, mut visit: impl FnMut(f64, f64)) {
        match *self {
            Self::Gaussian(gaussian) if gaussian.adding => {
                integrate(&gaussian, lines.map(Lines::mirrored), &mut |mass, loss| visit(mass, -loss));
            }
            Self::Gaussian(gaussian) => integrate(&gaussian, lines, &mut visit),
            Self::Laplace { shift } => {
                visit(0.5, shift);
                visit(libm::exp(-shift) / 2.0, -shift);
                integrate(&LaplaceBetween { shift }, lines, &mut visit);
            }
            Self::Pure { epsilon } => {
                let odds = libm::exp(-epsilon);
                visit(1.0 / (1.0 + odds), epsilon);
                visit(odds / (1.0 + odds), -epsilon);
            }
        }
    }
}

/// Grid lines: the multiples of `step` from `low` to `high`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) step: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Lines {
    fn mirrored(self) -> Self {
        Self { low: -self.high, high: -self.low, ..self }
    }
}

/// A continuous part of P: a density over x and a loss that rises with x.
trait Continuous {
    fn range(&self) -> (f64, f64);
    /// Over this length density and loss change by a factor of about e, at most, where mass lies.
    fn smooth_length(&self) -> f64;
    fn density(&self, x: f64) -> f64;
    fn loss(&self, x: f64) -> f64;
    /// The x of a loss; below the range, or NaN, where there is none.
    fn at_loss(&self, loss: f64) -> f64;
}

fn integrate(part: &impl Continuous, lines: Option<Lines>, visit: &mut impl FnMut(f64, f64)) {
    let (low, high) = part.range();
    let Some(Lines { step, low: first, high: last }) = lines else {
        return integrate_piece(part, low, high, 0.4, visit);
    };
    let at = |loss| part.at_loss(loss).max(low).min(high);
    let (mut left, end) = (at(first), at(last));
    integrate_piece(part, low, left, 0.125, visit);
    let mut line = (part.loss(left) / step).floor();
    while left < end {
        line += 1.0;
        let right = at(line * step).max(left).min(end);
        integrate_piece(part, left, right, 0.125, visit);
        left = right;
    }
    integrate_piece(part, end, high, 0.125, visit);
}

/// Integrates in sub-pieces of at most `share` of the smooth length. Short pieces need fewer nodes: with n of them the error
/// is below (length/smooth length)^2n / 1000, far below 10⁻¹² for the lengths given here.
fn integrate_piece(
    part: &impl Continuous,
    left: f64,
    right: f64,
    share: f64,
    visit: &mut impl FnMut(f64, f64),
) {
    let length = (right - left) / part.smooth_length();
    let rule: &[(f64, f64)] = match length {
        0.0 => return,
        0.0..1e-3 => &TWO_NODES,
        1e-3..0.02 => &THREE_NODES,
        _ => &FIVE_NODES,
    };
    let pieces = (length / share).ceil().max(1.0);
    let at = |piece: f64| left + (right - left) * (piece / pieces);
    for piece in 0..pieces as u64 {
        for (x, weight) in over(at(piece as f64), at(piece as f64 + 1.0), rule) {
            visit(weight * part.density(x), part.loss(x));
        }
    }
}

/// ℓ(x) = ln(1 − q + q·e^w), w = (2x − 1)/2σ².
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SubsampledGaussian {
    /// The noise multiplier σ.
    pub(super) sigma: f64,
    /// The sampling rate q.
    pub(super) rate: f64,
    /// Standard deviations beyond which the tails are cut off.
    pub(super) tail: f64,
    /// Whether the record is added: P and Q, and with them the sign of the loss, are swapped. Below, the loss is always that of
    /// removing it, which rises with x.
    pub(super) adding: bool,
}

impl Continuous for SubsampledGaussian {
    fn range(&self) -> (f64, f64) {
        (-self.tail * self.sigma, 1.0 + self.tail * self.sigma)
    }

    fn smooth_length(&self) -> f64 {
        self.sigma.min(self.sigma * self.sigma)
    }

    fn density(&self, x: f64) -> f64 {
        let normal = |x: f64| libm::exp(-(x / self.sigma) * (x / self.sigma) / 2.0);
        let mixture =
            if self.adding { normal(x) } else { (1.0 - self.rate) * normal(x) + self.rate * normal(x - 1.0) };
        mixture / (self.sigma * TAU.sqrt())
    }

    fn loss(&self, x: f64) -> f64 {
        let (w, q) = ((x - 0.5) / (self.sigma * self.sigma), self.rate);
        if q == 1.0 {
            w
        } else if w < 30.0 {
            libm::log1p(q * libm::expm1(w))
        } else {
            w + libm::log(q) + libm::log1p((1.0 - q) / q * libm::exp(-w))
        }
    }

    fn at_loss(&self, loss: f64) -> f64 {
        let q = self.rate;
        let w = if q == 1.0 {
            loss
        } else if loss < 30.0 {
            libm::log1p(libm::expm1(loss) / q)
        } else {
            loss - libm::log(q) + libm::log1p(-(1.0 - q) * libm::exp(-loss))
        };
        self.sigma * self.sigma * w + 0.5
    }
}

/// The outputs between the two centres; x is the loss itself, with density e^(x/2)·e^(−1/2b)/4.
struct LaplaceBetween {
    shift: f64,
}

impl Continuous for LaplaceBetween {
    fn range(&self) -> (f64, f64) {
        (-self.shift, self.shift)
    }

    fn smooth_length(&self) -> f64 {
        1.0
    }

    fn density(&self, x: f64) -> f64 {
        libm::exp((x - self.shift) / 2.0) / 4.0
    }

    fn loss(&self, x: f64) -> f64 {
        x
    }

    fn at_loss(&self, loss: f64) -> f64 {
        loss
    }
}

#[cfg(test)]
#[path = "loss_tests.rs"]
pub(super) mod tests;
