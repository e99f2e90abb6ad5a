//! The cumulant generating function of a composed privacy loss: where to tilt, and which losses can matter.
//!
//! With L = Σ ℓᵢ the loss of the whole composition, K(t) = ln E_P[e^tL] adds up over releases. Tilting P by e^θL moves the bulk of
//! L to the losses that decide δ, so that the rounding of an FFT, which is absolute, stays small beside them. The best θ
//! minimises the Chernoff-type bound of Canonne, Kamath & Steinke (2020), Proposition 12,
//!
//! ```text
//! ln δ(ε) ≤ K(θ) − θε + θ·ln θ − (1 + θ)·ln(1 + θ)
//! ```
//!
//! and the tails of the tilted L are again bounded by Chernoff. Nothing here is part of the guarantee: a poor choice costs
//! tightness or time only.

use super::loss::Release;

/// Bisections of a logarithm that spans at most 64: to within a hundredth, which is close enough for any choice made here.
const BISECTIONS: u32 = 13;
/// Least ln θ: for losses of 10⁷ standard deviations.
const LN_LEAST_TILT: f64 = -20.0;
/// θ times the mean absolute losses of the composition stays below this: in f64 exponents are then good to about 10⁻¹⁰.
const LARGEST_EXPONENT: f64 = 1e6;

/// Atoms of one release, for smooth functions of the loss, and how often it is made.
struct Part {
    // (ln P-mass, loss)
    atoms: Vec<(f64, f64)>,
    count: f64,
}

/// K of a composition.
pub(super) struct Cumulant {
    parts: Vec<Part>,
    ln_tilts: (f64, f64),
}

/// The losses between which all but a negligible part of the tilted composition lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) tilt: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// The tilt whose Chernoff bound is the best above `high`.
    pub(super) tilt_above: f64,
}

impl Cumulant {
    /// Of `releases`, each with its count.
    pub(super) fn new(releases: &[(Release, u64)]) -> Self {
        let part = |&(release, count): &(Release, u64)| {
            let mut atoms = Vec::new();
            release.for_each_atom(None, |mass, loss| {
                // Underflown tails carry nothing.
                if mass > 0.0 {
                    atoms.push((libm::log(mass), loss));
                }
            });
            Part { atoms, count: count as f64 }
        };
        let parts: Vec<Part> = releases.iter().map(part).collect();
        let losses: f64 = parts.iter().map(|part| part.count * part.tilted_mean(0.0, f64::abs).1).sum();
        let ln_tilts = (LN_LEAST_TILT, libm::log(LARGEST_EXPONENT / losses).max(LN_LEAST_TILT));
        Self { parts, ln_tilts }
    }

    /// (K, K′) at `t`.
    pub(super) fn at(&self, t: f64) -> (f64, f64) {
        self.parts.iter().fold((0.0, 0.0), |(k, slope), part| {
            let (ln_mgf, mean) = part.tilted_mean(t, |loss| loss);
            (k + part.count * ln_mgf, slope + part.count * mean)
        })
    }

    /// The best tilt to find ε at e^`ln_delta`: where d/dθ of the least ε of the bound is 0, that is θK′ − K + ln(1 + θ) = −ln δ.
    pub(super) fn tilt_for_delta(&self, ln_delta: f64) -> f64 {
        bisect_ln(self.ln_tilts, |tilt| {
            let (k, slope) = self.at(tilt);
            tilt * slope - k + libm::log1p(tilt) < -ln_delta
        })
    }

    /// The best tilt to find δ at `epsilon`: K′ + ln(θ / (1 + θ)) = ε.
    pub(super) fn tilt_for_epsilon(&self, epsilon: f64) -> f64 {
        bisect_ln(self.ln_tilts, |tilt| self.at(tilt).1 - libm::log1p(1.0 / tilt) < epsilon)
    }

    /// ln of the bound on δ at `epsilon` that this tilt gives.
    pub(super) fn chernoff_ln_delta(&self, tilt: f64, epsilon: f64) -> f64 {
        self.at(tilt).0 - tilt * epsilon + tilt * libm::log(tilt / (1.0 + tilt)) - libm::log1p(tilt)
    }

    /// The least ε that the bound gives at e^`ln_delta` with this tilt, not below 0.
    pub(super) fn chernoff_epsilon(&self, tilt: f64, ln_delta: f64) -> f64 {
        let slack = libm::log(tilt / (1.0 + tilt)) - (libm::log1p(tilt) + ln_delta) / tilt;
        (self.at(tilt).0 / tilt + slack).max(0.0)
    }

    /// Losses below and above which the tilted composition has a mass of at most e^`ln_below` and e^`ln_above`.
    pub(super) fn window(&self, tilt: f64, ln_below: f64, ln_above: f64) -> Window {
        let (k, mean) = self.at(tilt);
        // Both sides alike: the best s solves s·K′ − (K − K(θ)) = −ln_tail, with s the distance from θ, signed.
        let edge = |sign: f64, ln_tail: f64| {
            let distance = bisect_ln((self.ln_tilts.0 - 5.0, self.ln_tilts.1 + 5.0), |s| {
                let (ahead, slope) = self.at(tilt + sign * s);
                sign * s * slope - (ahead - k) < -ln_tail
            });
            let (ahead, _) = self.at(tilt + sign * distance);
            (sign * (ahead - k - ln_tail) / distance, distance)
        };
        let ((high, ahead), (low, _)) = (edge(1.0, ln_above), edge(-1.0, ln_below));
        Window { tilt, low: low.min(mean), high: high.max(mean), tilt_above: tilt + ahead }
    }

    /// The variance that splitting onto a grid adds to the tilted composition.
    pub(super) fn split_variance(&self, tilt: f64, step: f64) -> f64 {
        let split = |loss: f64| {
            let above = loss - (loss / step).floor() * step;
            above * (step - above)
        };
        self.parts.iter().map(|part| part.count * part.tilted_mean(tilt, split).1).sum()
    }
}

impl Part {
    /// ln E[e^tℓ], and the mean of `value`(ℓ) under the tilt.
    fn tilted_mean(&self, t: f64, value: impl Fn(f64) -> f64) -> (f64, f64) {
        let shift =
            self.atoms.iter().map(|&(ln_mass, loss)| ln_mass + t * loss).fold(f64::NEG_INFINITY, f64::max);
        let (sum, weighted) = self.atoms.iter().fold((0.0, 0.0), |(sum, weighted), &(ln_mass, loss)| {
            let mass = libm::exp(ln_mass + t * loss - shift);
            (sum + mass, weighted + mass * value(loss))
        });
        (shift + libm::log(sum), weighted / sum)
    }
}

/// e^x for the x at which `is_below` turns false, within the range.
fn bisect_ln((mut low, mut high): (f64, f64), is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if is_below(libm::exp(middle)) { low = middle } else { high = middle }
    }
    libm::exp((low + high) / 2.0)
}

#[cfg(test)]
#[path = "cumulant_tests.rs"]
mod tests;
