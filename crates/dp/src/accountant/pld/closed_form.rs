//! The compositions whose (ε, δ) is known in closed form.
//!
//! * Plain Gaussian releases only: one release with 1/σ² = Σ T/σ² (Dong, Roth & Su 2019, Corollary 3.3).
//! * One Gaussian release on one Poisson sample: δ_q(ln(1 + q·(e^ε − 1))) = q·δ(ε), privacy amplification by subsampling
//!   (Balle, Barthe & Gaboardi 2018, Theorem 8). Removing the record is the worse direction.

use crate::Delta;
use crate::accountant::{Event, EventKind, gaussian};

/// One Gaussian release on a Poisson sample, as bad as a whole composition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OneRelease {
    sigma: f64,
    rate: f64,
}

impl OneRelease {
    /// Of these events, where there is one.
    pub(super) fn of(events: &[Event]) -> Option<Self> {
        if let [event] = events
            && let EventKind::PoissonSubsampledGaussian {
                noise_multiplier: sigma,
                sampling_rate: rate,
                steps: 1,
            } = event.kind()
        {
            return Some(Self { sigma, rate });
        }
        let precision = |event: &Event| match event.kind() {
            EventKind::PoissonSubsampledGaussian { noise_multiplier, sampling_rate: 1.0, steps } => {
                Some(steps as f64 / (noise_multiplier * noise_multiplier))
            }
            _ => None,
        };
        let precision = events.iter().map(precision).sum::<Option<f64>>()?;
        // Rounded down: less noise is never too little ε.
        Some(Self { sigma: (1.0 / precision).sqrt() * (1.0 - 1e-12), rate: 1.0 })
    }

    /// δ at `epsilon`, rounded up.
    pub(super) fn delta(self, epsilon: f64) -> f64 {
        self.rate * gaussian::delta(self.sigma, ln_1p_scaled_expm1(1.0 / self.rate, epsilon))
    }

    /// ε at `delta`, rounded up.
    pub(super) fn epsilon(self, delta: Delta) -> f64 {
        match Delta::try_from(delta.get() / self.rate) {
            Ok(amplified) => ln_1p_scaled_expm1(self.rate, gaussian::epsilon(self.sigma, amplified)),
            // The record is in the sample with a chance of at most δ.
            Err(_) => 0.0,
        }
    }
}

/// ln(1 + `scale`·(e^`x` − 1)), for a `scale` of any size and x ≥ 0.
fn ln_1p_scaled_expm1(scale: f64, x: f64) -> f64 {
    // e^x would overflow; what is left out of the logarithm is below 1e-250.
    if x > 600.0 { x + libm::log(scale) } else { libm::log1p(scale * libm::expm1(x)) }
}

#[cfg(test)]
#[path = "closed_form_tests.rs"]
mod tests;
