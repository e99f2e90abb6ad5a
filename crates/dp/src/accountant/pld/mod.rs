//! Accountant by privacy loss distributions: the exact ε of any composition of [`Event`]s, up to the grid.
//!
//! # Contract
//! For neighbours that differ by one added or removed record. [`epsilon`] and [`delta`] are upper bounds: discretisation, truncation
//! and the rounding of the FFT all err to the safe side, so they are never below the true value. Above it they are by
//! [`DISCRETISATION_ERROR`] at most, relative to ε, for sampling rates in [10⁻⁴, 1], noise multipliers in [0.3, 20], up to
//! 100,000 steps and δ in [10⁻¹⁰, 10⁻³]. Further out they stay upper bounds but may be looser.
//!
//! +∞ is the answer of [`epsilon`] (and 1 that of [`delta`]) for what it does not bound: a composition, other than of plain Gaussians
//! or of a single step, with a noise multiplier below 0.05 or a release that can lose more than 10⁴; and a δ below
//! [`MIN_DELTA`].
//!
//! # How
//! 1. Each release becomes a stream of (P-mass, loss) atoms: `loss`. What lies beyond some standard deviations is
//!    counted as revealed outright.
//! 2. A tilt is chosen so that the losses that decide become the likely ones: `cumulant`.
//! 3. Atoms are split onto a grid by connect-the-dots: `grid`.
//! 4. The tilted distributions are composed by FFT, with a bound on its rounding: `compose`.
//! 5. δ(ε) is summed from the top, or searched: `curve`; `direction` chooses the grid, and a finer one where it has to be.
//!
//! Removing and adding a record are composed separately and the worse one is stated. Closed forms are used where there are any.

mod closed_form;
mod compose;
mod cumulant;
mod curve;
mod direction;
mod grid;
mod loss;

use closed_form::OneRelease;
use direction::Direction;

use super::{Event, EventKind};
use crate::Delta;

/// By how much a stated ε can lie above the true one, relative to it, in the range given above. It never lies below.
pub const DISCRETISATION_ERROR: f64 = 1e-3;

/// The least δ that [`epsilon`] resolves: far below it the tails of the normal distribution underflow.
pub const MIN_DELTA: f64 = 1e-100;

/// Cutting the tails off may cost this share of δ, as a logarithm.
const LN_TAIL_SHARE: f64 = -16.0;

/// The least ε at `delta` of all `events` together, rounded up; 0 for none, +∞ where it cannot be bounded (see the module).
pub fn epsilon(events: &[Event], delta: Delta) -> f64 {
    match OneRelease::of(events) {
        _ if events.is_empty() => 0.0,
        Some(release) => release.epsilon(delta),
        None => composed_epsilon(events, delta.get()),
    }
}

/// The least δ at `epsilon` ≥ 0 of all `events` together, rounded up; 0 for none, at most 1. A δ below 10⁻³⁰ may be overstated.
pub fn delta(events: &[Event], epsilon: f64) -> f64 {
    if epsilon.is_nan() || epsilon < 0.0 {
        return 1.0;
    }
    match OneRelease::of(events) {
        _ if events.is_empty() => 0.0,
        Some(release) => release.delta(epsilon),
        None => composed_delta(events, epsilon),
    }
}

/// A quick upper bound on [`epsilon`], up to its rounding: where a search may start.
pub(crate) fn epsilon_bound(events: &[Event], delta: Delta) -> f64 {
    if let Some(release) = OneRelease::of(events) {
        return release.epsilon(delta);
    }
    let ln_delta = libm::log(delta.get());
    let in_direction = |&adding: &bool| {
        Direction::new(events, adding, ln_delta + LN_TAIL_SHARE)
            .map_or(f64::INFINITY, |direction| direction.epsilon_bound(ln_delta).0)
    };
    directions(events).iter().map(in_direction).fold(0.0, f64::max)
}

fn composed_epsilon(events: &[Event], delta: f64) -> f64 {
    if delta < MIN_DELTA {
        return f64::INFINITY;
    }
    let ln_delta = libm::log(delta);
    let in_direction = |worst: f64, adding| {
        let direction = Direction::new(events, adding, ln_delta + LN_TAIL_SHARE);
        direction.map_or(f64::INFINITY, |direction| direction.epsilon(ln_delta, worst)).max(worst)
    };
    directions(events).iter().copied().fold(0.0, in_direction)
}

fn composed_delta(events: &[Event], epsilon: f64) -> f64 {
    // Far out, while no δ is known that the tails could be cut off at.
    const LN_TAILS: f64 = -92.0;
    let in_direction = |&adding: &bool| {
        let ln_bound = Direction::new(events, adding, LN_TAILS)?.ln_delta_bound(epsilon);
        // The bound is rarely a thousand times too large.
        let ln_tails = (ln_bound - 7.0 + LN_TAIL_SHARE).max(LN_TAILS);
        Some(Direction::new(events, adding, ln_tails)?.delta(epsilon))
    };
    directions(events).iter().map(|adding| in_direction(adding).unwrap_or(1.0)).fold(0.0, f64::max).min(1.0)
}

/// Removing a record, and adding one if that differs: the values of `adding` to look at.
fn directions(events: &[Event]) -> &'static [bool] {
    let subsampled = |event: &Event| matches!(event.kind(), EventKind::PoissonSubsampledGaussian { sampling_rate, .. } if sampling_rate < 1.0);
    if events.iter().any(subsampled) { &[false, true] } else { &[false] }
}

#[cfg(test)]
#[path = "pld_tests.rs"]
mod tests;
