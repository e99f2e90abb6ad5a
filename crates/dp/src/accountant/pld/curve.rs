//! δ(ε) of a composition, and its inverse.
//!
//! With masses p at losses y the hockey-stick divergence is δ(ε) = Σ_{y > ε} p·(1 − e^(ε − y)). From one grid line to the next
//! below it grows by positive terms only: with A the P-mass from line j on and h the step,
//!
//! ```text
//! δ(y_{j−1}) = A·(1 − e^−h) + e^−h·δ(y_j)
//! ```
//!
//! and between two lines it is linear in e^ε, so ε is found in closed form there. Masses are untilted on the way down, relative to
//! a scale that keeps them in range.

use super::compose::Composition;

/// An ε, and how likely the loss is to lie there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) epsilon: f64,
    /// The density of the loss at ε, over E[e^(ε − L); L > ε].
    pub(super) hazard: f64,
}

/// One line of the way down: its loss, the mass from it on, and δ at it; both over the scale.
struct Rung {
    loss: f64,
    mass: f64,
    delta: f64,
    step: f64,
}

impl Rung {
    /// δ at the next line below.
    fn delta_below(&self) -> f64 {
        -libm::expm1(-self.step) * self.mass + libm::exp(-self.step) * self.delta
    }

    /// The ε between this line and the next below where δ is `delta`.
    fn epsilon_at(&self, delta: f64) -> f64 {
        self.loss + libm::log1p(-(delta - self.delta) / (self.mass - self.delta))
    }

    /// δ at `epsilon` between this line and the next below.
    fn delta_at(&self, epsilon: f64) -> f64 {
        let ratio = libm::exp(epsilon - self.loss);
        self.mass * -libm::expm1(epsilon - self.loss) + ratio * self.delta
    }
}

impl Composition {
    /// The lines from the top of the window down, with masses over e^`ln_scale`.
    fn descend(&self, ln_scale: f64) -> impl Iterator<Item = Rung> {
        let mut rung = Rung { loss: 0.0, mass: 0.0, delta: 0.0, step: self.step };
        self.masses.iter().enumerate().rev().map(move |(index, &tilted)| {
            let loss = (self.first + index as i64) as f64 * self.step;
            let mass = tilted * libm::exp(self.ln_mgf - self.tilt * loss - ln_scale);
            rung = Rung { loss, mass: rung.mass + mass, delta: rung.delta_below(), ..rung };
            Rung { ..rung }
        })
    }

    /// The lowest loss of the window.
    pub(super) fn low(&self) -> f64 {
        self.first as f64 * self.step
    }

    /// The least ε at which δ is at most e^`ln_scale`·`share`; the lowest loss of the window if it lies below that.
    pub(super) fn epsilon(&self, ln_scale: f64, share: f64) -> Found {
        // The density is taken over some lines: splitting has spread what was one atom about as far.
        const LINES: usize = 8;
        let mut masses = [0.0; LINES];
        for (index, rung) in self.descend(ln_scale).enumerate() {
            let density = (rung.mass - masses[index % LINES]) / (LINES as f64 * self.step);
            masses[index % LINES] = rung.mass;
            if rung.delta_below() > share {
                let hazard = density / (rung.mass - rung.delta);
                return Found { epsilon: rung.epsilon_at(share), hazard };
            }
        }
        Found { epsilon: self.low(), hazard: 0.0 }
    }

    /// δ at `epsilon`, without what lies beyond the window. Below the window it is δ at the window's lowest line.
    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        let ln_scale = self.ln_mgf - self.tilt * epsilon;
        let above = self.descend(ln_scale).take_while(|rung| rung.loss > epsilon).last();
        above.map_or(0.0, |rung| rung.delta_at(epsilon.max(rung.loss - rung.step)) * libm::exp(ln_scale))
    }
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
