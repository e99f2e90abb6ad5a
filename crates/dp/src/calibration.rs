//! The least noise that meets a target ε.

use crate::accountant::rdp;
use crate::{Delta, DpError, Epsilon};

/// A multiplier below this leaves a signal twenty times its noise: an ε that needs no more is no protection.
pub const MIN_NOISE_MULTIPLIER: f64 = 0.05;
/// Beyond this no model learns anything, so a target that needs more is refused.
pub const MAX_NOISE_MULTIPLIER: f64 = 1e5;
/// The ε of the result lies in (target·(1 − this), target].
pub const RELATIVE_TOLERANCE: f64 = 1e-3;

/// The noise multiplier with which `steps` steps at `sampling_rate` spend just under `target_epsilon` at `delta`.
///
/// Bisects the Rényi accountant, whose ε falls as the noise grows; the result is always on the safe side.
///
/// # Errors
/// [`DpError::SamplingRate`] or [`DpError::Steps`] for an argument out of range; [`DpError::TargetTooSmall`] and
/// [`DpError::TargetTooLarge`] if no multiplier between the two limits of this module meets the target.
pub fn noise_multiplier(
    target_epsilon: Epsilon,
    delta: Delta,
    sampling_rate: f64,
    steps: u64,
) -> Result<f64, DpError> {
    if !(sampling_rate > 0.0 && sampling_rate <= 1.0) {
        return Err(DpError::SamplingRate(sampling_rate));
    }
    if !(1..=crate::plan::MAX_STEPS).contains(&steps) {
        return Err(DpError::Steps(steps));
    }
    let target = target_epsilon.get();
    let epsilon_at = |noise: f64| rdp::epsilon(noise, sampling_rate, steps, delta);
    let (mut low, mut high) = bracket(target, epsilon_at).map_err(|end| match end {
        End::Low => DpError::TargetTooLarge { target, min_noise_multiplier: MIN_NOISE_MULTIPLIER },
        End::High => DpError::TargetTooSmall { target, delta: delta.get(), steps, sampling_rate },
    })?;
    while epsilon_at(high) <= target * (1.0 - RELATIVE_TOLERANCE) {
        // Geometric, since the bracket spans orders of magnitude.
        let middle = (low * high).sqrt();
        if middle <= low || middle >= high {
            break; // neighbouring doubles: ε jumps here (it is clamped at 0), and `high` meets the target
        }
        if epsilon_at(middle) <= target { high = middle } else { low = middle }
    }
    Ok(high)
}

enum End {
    Low,
    High,
}

/// Finds multipliers a factor of two apart whose ε lie on both sides of the target.
fn bracket(target: f64, epsilon_at: impl Fn(f64) -> f64) -> Result<(f64, f64), End> {
    let mut high = 1.0;
    while epsilon_at(high) > target {
        high *= 2.0;
        if high > MAX_NOISE_MULTIPLIER {
            return Err(End::High);
        }
    }
    let mut low = high / 2.0;
    while epsilon_at(low) <= target {
        (low, high) = (low / 2.0, low);
        if low < MIN_NOISE_MULTIPLIER {
            return Err(End::Low);
        }
    }
    Ok((low, high))
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
