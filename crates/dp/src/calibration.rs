//! Noise, steps or sampling rate that meet a target ε, given the other two.
//!
//! # Contract
//! Each function returns a setting whose ε by the [PLD accountant](crate::accountant::pld) is at most the target, and, where the
//! setting is a real number, within [`RELATIVE_TOLERANCE`] of it. Where ε jumps over that band the setting is the last one before
//! the jump.
//!
//! # How
//! ε rises with x = −ln(noise multiplier), ln(steps) or ln(sampling rate). The search starts where the Chernoff bound of the accountant,
//! a thousandth of its cost, meets the target, and closes in by the Illinois variant of false position (Dowell & Jarratt 1971) on
//! ln ε.

use crate::accountant::{Event, pld};
use crate::plan::MAX_STEPS;
use crate::{Delta, DpError, Epsilon};

/// A multiplier below this leaves a signal twenty times its noise: an ε that needs no more is no protection.
pub const MIN_NOISE_MULTIPLIER: f64 = 0.05;
/// Beyond this no model learns anything, so a target that needs more is refused.
pub const MAX_NOISE_MULTIPLIER: f64 = 1e5;
/// The least sampling rate that is tried: one record in a billion.
pub const MIN_SAMPLING_RATE: f64 = 1e-9;
/// The ε of the result lies in (target·(1 − this), target].
pub const RELATIVE_TOLERANCE: f64 = 1e-3;

/// The noise multiplier with which `steps` steps at `sampling_rate` spend just under `target` at `delta`.
///
/// # Errors
/// [`DpError::SamplingRate`] or [`DpError::Steps`] for an argument out of range; [`DpError::TargetTooSmall`] and
/// [`DpError::TargetTooLarge`] if no multiplier between the two limits of this module meets the target.
pub fn noise_multiplier(
    target: Epsilon,
    delta: Delta,
    sampling_rate: f64,
    steps: u64,
) -> Result<f64, DpError> {
    Event::subsampled_gaussian(1.0, sampling_rate, steps)?;
    let run = |x: f64| Event::subsampled_gaussian(libm::exp(-x), sampling_rate, steps);
    let range = (-libm::log(MAX_NOISE_MULTIPLIER), -libm::log(MIN_NOISE_MULTIPLIER));
    let search = Search { target: target.get(), delta, run, range };
    match search.largest(|low, high| high - low < 1e-12)? {
        Found::Inside(x) => Ok(libm::exp(-x)),
        Found::AllAbove => {
            Err(DpError::TargetTooSmall { target: target.get(), delta: delta.get(), steps, sampling_rate })
        }
        Found::AllWithin => {
            Err(DpError::TargetTooLarge { target: target.get(), min_noise_multiplier: MIN_NOISE_MULTIPLIER })
        }
    }
}

/// The largest sampling rate with which `steps` steps of `noise_multiplier` stay within `target` at `delta`; 1 if every rate does.
///
/// # Errors
/// [`DpError::NoiseMultiplier`] or [`DpError::Steps`] for an argument out of range; [`DpError::TargetTooSmall`] if not even
/// [`MIN_SAMPLING_RATE`] meets the target.
pub fn sampling_rate(
    target: Epsilon,
    delta: Delta,
    noise_multiplier: f64,
    steps: u64,
) -> Result<f64, DpError> {
    Event::subsampled_gaussian(noise_multiplier, 1.0, steps)?;
    let run = |x: f64| Event::subsampled_gaussian(noise_multiplier, libm::exp(x).min(1.0), steps);
    let range = (libm::log(MIN_SAMPLING_RATE), 0.0);
    let search = Search { target: target.get(), delta, run, range };
    match search.largest(|low, high| high - low < 1e-12)? {
        Found::Inside(x) => Ok(libm::exp(x).min(1.0)),
        Found::AllWithin => Ok(1.0),
        Found::AllAbove => {
            let (target, delta) = (target.get(), delta.get());
            Err(DpError::TargetTooSmall { target, delta, steps, sampling_rate: MIN_SAMPLING_RATE })
        }
    }
}

/// The largest number of steps of `noise_multiplier` at `sampling_rate` that stays within `target` at `delta`, at most [`MAX_STEPS`].
///
/// # Errors
/// [`DpError::NoiseMultiplier`] or [`DpError::SamplingRate`] for an argument out of range; [`DpError::TargetTooSmall`] if one step
/// spends more.
pub fn steps(
    target: Epsilon,
    delta: Delta,
    noise_multiplier: f64,
    sampling_rate: f64,
) -> Result<u64, DpError> {
    let event = |steps| Event::subsampled_gaussian(noise_multiplier, sampling_rate, steps);
    event(1)?;
    let at = |x: f64| (libm::exp(x) as u64).clamp(1, MAX_STEPS);
    // Half a step more, so that rounding cannot lose the last one.
    let range = (0.0, libm::log(MAX_STEPS as f64 + 0.5));
    let search = Search { target: target.get(), delta, run: |x| event(at(x)), range };
    match search.largest(|low, high| at(high) - at(low) <= 1)? {
        Found::Inside(x) => last_within(at(x), |steps| {
            Ok(steps <= MAX_STEPS && pld::epsilon(&[event(steps)?], delta) <= target.get())
        }),
        Found::AllWithin => Ok(MAX_STEPS),
        Found::AllAbove => {
            let (target, delta) = (target.get(), delta.get());
            Err(DpError::TargetTooSmall { target, delta, steps: 1, sampling_rate })
        }
    }
}

/// The last number from `low` on, which is within, before one that is not: gallops, then bisects.
fn last_within(mut low: u64, within: impl Fn(u64) -> Result<bool, DpError>) -> Result<u64, DpError> {
    // What the search leaves open is about this much.
    let mut stride = (low as f64 * RELATIVE_TOLERANCE / 2.0) as u64 + 1;
    while within(low + stride)? {
        low += stride;
        stride *= 2;
    }
    let mut high = low + stride;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if within(middle)? { low = middle } else { high = middle }
    }
    Ok(low)
}

/// What a search over a range found.
enum Found {
    /// A point within the target, close to it.
    Inside(f64),
    /// The whole range is within the target.
    AllWithin,
    /// Nothing in the range is.
    AllAbove,
}

/// A point of the range, and ln(ε / target), moved so that 0 lies in the middle of the band that is accepted.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    excess: f64,
}

impl Point {
    /// From target·(1 − tolerance) up to the target.
    fn is_in_band(self) -> bool {
        // A rounding less than half the band on both sides, so that "in band" is never above the target.
        self.excess.abs() < RELATIVE_TOLERANCE * 0.499
    }
}

/// The search for the largest x whose run stays within a target.
struct Search<R> {
    target: f64,
    delta: Delta,
    run: R,
    range: (f64, f64),
}

impl<R: Fn(f64) -> Result<Event, DpError>> Search<R> {
    fn largest(&self, is_narrow: impl Fn(f64, f64) -> bool) -> Result<Found, DpError> {
        let (mut low, mut high) = match self.bracket()? {
            Bracket::Around(low, high) => (low, high),
            Bracket::Found(found) => return Ok(found),
        };
        let (mut low_weight, mut high_weight) = (1.0, 1.0);
        while !is_narrow(low.x, high.x) {
            let (below, above) = (low.excess * low_weight, high.excess * high_weight);
            let x = low.x + (high.x - low.x) * below / (below - above);
            // Away from the ends, where rounding would stop all progress.
            let margin = (high.x - low.x) / 100.0;
            let point = self.at(x.clamp(low.x + margin, high.x - margin))?;
            if point.is_in_band() {
                return Ok(Found::Inside(point.x));
            }
            // Illinois: an end that stays twice counts half.
            if point.excess < 0.0 {
                (low, low_weight, high_weight) = (point, 1.0, high_weight / 2.0);
            } else {
                (high, high_weight, low_weight) = (point, 1.0, low_weight / 2.0);
            }
        }
        Ok(Found::Inside(low.x))
    }

    /// Two points on either side of the target, searched from where the cheap bound meets it.
    fn bracket(&self) -> Result<Bracket, DpError> {
        let mut here = self.at(self.start()?)?;
        let mut stride = if here.excess < 0.0 { 0.1 } else { -0.1 };
        loop {
            if here.is_in_band() {
                return Ok(Bracket::Found(Found::Inside(here.x)));
            }
            let x = (here.x + stride).clamp(self.range.0, self.range.1);
            if x == here.x {
                return Ok(Bracket::Found(if stride > 0.0 { Found::AllWithin } else { Found::AllAbove }));
            }
            let next = self.at(x)?;
            if (next.excess < 0.0) != (here.excess < 0.0) {
                let (low, high) = if stride > 0.0 { (here, next) } else { (next, here) };
                return Ok(Bracket::Around(low, high));
            }
            (here, stride) = (next, stride * 2.0);
        }
    }

    /// Where the Chernoff bound is about the target.
    fn start(&self) -> Result<f64, DpError> {
        let (mut low, mut high) = self.range;
        while high - low > 0.01 {
            let middle = (low + high) / 2.0;
            let is_within = pld::epsilon_bound(&[(self.run)(middle)?], self.delta) <= self.target;
            if is_within { low = middle } else { high = middle }
        }
        // The accountant is some per cent below its bound.
        Ok((low + 0.03).min(self.range.1))
    }

    fn at(&self, x: f64) -> Result<Point, DpError> {
        // An ε of 0, or one that cannot be bounded, is far away, and says no more than that.
        const FAR: f64 = 4.0;
        let epsilon = pld::epsilon(&[(self.run)(x)?], self.delta);
        let excess = libm::log(epsilon / self.target) + RELATIVE_TOLERANCE / 2.0;
        Ok(Point { x, excess: excess.clamp(-FAR, FAR) })
    }
}

enum Bracket {
    Around(Point, Point),
    Found(Found),
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
