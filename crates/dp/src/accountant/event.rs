//! What an accountant is told: one kind of release, and how often it was made.
//!
//! Events are written into plans, ledgers and certificates, so one that makes no sense can neither be built nor read back.

use serde::{Deserialize, Serialize};

use crate::plan::MAX_STEPS;
use crate::{DpError, Epsilon};

/// A number of releases of one mechanism on one data set, for neighbours that differ in one record.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EventKind", into = "EventKind")]
pub struct Event(EventKind);

/// The mechanism of an [`Event`], with its parameters. Noise is given relative to the sensitivity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mechanism", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum EventKind {
    /// Gaussian noise on the clipped sum of a Poisson sample: a step of DP-SGD.
    PoissonSubsampledGaussian {
        /// Standard deviation of the noise over the L2 sensitivity.
        noise_multiplier: f64,
        /// Chance of each record to be in the sample.
        sampling_rate: f64,
        /// Releases.
        steps: u64,
    },
    /// Laplace noise on a query of bounded L1 sensitivity.
    Laplace {
        /// Scale of the noise over the L1 sensitivity.
        scale: f64,
        /// Releases.
        count: u64,
    },
    /// Any mechanism of pure ε-differential privacy.
    PureDp {
        /// ε of one release.
        epsilon: Epsilon,
        /// Releases.
        count: u64,
    },
}

impl Event {
    /// `steps` Gaussian releases on Poisson samples; a `sampling_rate` of 1 is the plain Gaussian mechanism.
    ///
    /// # Errors
    /// [`DpError::NoiseMultiplier`], [`DpError::SamplingRate`] or [`DpError::Steps`] for a value out of range.
    pub fn subsampled_gaussian(
        noise_multiplier: f64,
        sampling_rate: f64,
        steps: u64,
    ) -> Result<Self, DpError> {
        EventKind::PoissonSubsampledGaussian { noise_multiplier, sampling_rate, steps }.try_into()
    }

    /// `count` Laplace releases.
    ///
    /// # Errors
    /// [`DpError::NoiseMultiplier`] or [`DpError::Steps`] for a value out of range.
    pub fn laplace(scale: f64, count: u64) -> Result<Self, DpError> {
        EventKind::Laplace { scale, count }.try_into()
    }

    /// `count` releases of pure ε-DP.
    ///
    /// # Errors
    /// [`DpError::Steps`] for a count out of range.
    pub fn pure(epsilon: Epsilon, count: u64) -> Result<Self, DpError> {
        EventKind::PureDp { epsilon, count }.try_into()
    }

    /// The mechanism and its parameters.
    pub fn kind(self) -> EventKind {
        self.0
    }
}

impl TryFrom<EventKind> for Event {
    type Error = DpError;

    fn try_from(kind: EventKind) -> Result<Self, DpError> {
        let (noise, rate, count) = match kind {
            EventKind::PoissonSubsampledGaussian { noise_multiplier, sampling_rate, steps } => {
                (noise_multiplier, sampling_rate, steps)
            }
            EventKind::Laplace { scale, count } => (scale, 1.0, count),
            // An `Epsilon` is valid by construction.
            EventKind::PureDp { count, .. } => (1.0, 1.0, count),
        };
        if !(noise.is_finite() && noise > 0.0) {
            return Err(DpError::NoiseMultiplier(noise));
        }
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(DpError::SamplingRate(rate));
        }
        if !(1..=MAX_STEPS).contains(&count) {
            return Err(DpError::Steps(count));
        }
        Ok(Self(kind))
    }
}

impl From<Event> for EventKind {
    fn from(event: Event) -> Self {
        event.0
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
