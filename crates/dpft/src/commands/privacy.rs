//! `account` and `calibrate`: the accountants, without training anything.
//!
//! Both speak of DP-SGD's step, the Gaussian mechanism on a Poisson sample, under add-or-remove-one neighbours.

use crate::args::{AccountArgs, AccountantName, CalibrateArgs};
use anyhow::bail;
use dp::accountant::{Event, pld, rdp};
use dp::{Delta, Epsilon, calibration};
use serde_json::json;

/// Prints the ε that a run spends.
pub(crate) fn account(args: AccountArgs) -> anyhow::Result<()> {
    println!("{}", account_text(&args)?);
    Ok(())
}

/// Prints the setting that meets a target.
pub(crate) fn calibrate(args: CalibrateArgs) -> anyhow::Result<()> {
    println!("{}", calibrate_text(&args)?);
    Ok(())
}

fn account_text(args: &AccountArgs) -> anyhow::Result<String> {
    let delta = Delta::try_from(args.delta)?;
    let run = Event::subsampled_gaussian(args.noise_multiplier, args.sampling_rate, args.steps)?;
    let (epsilon, name) = match args.accountant {
        AccountantName::Pld => (pld::epsilon(&[run], delta), "pld"),
        AccountantName::Rdp => {
            (rdp::epsilon(args.noise_multiplier, args.sampling_rate, args.steps, delta), "rdp")
        }
    };
    if args.json {
        return Ok(json!({"epsilon": finite(epsilon), "delta": args.delta, "accountant": name}).to_string());
    }
    if epsilon.is_infinite() {
        return Ok(format!(
            "ε = ∞ at δ = {delta}: no bound at so little noise or so small a δ ({name}; Poisson sampling; add or remove one record)"
        ));
    }
    Ok(format!("ε = {} at δ = {delta} ({name}; Poisson sampling; add or remove one record)", up(epsilon)))
}

fn calibrate_text(args: &CalibrateArgs) -> anyhow::Result<String> {
    let (target, delta) = (Epsilon::try_from(args.epsilon)?, Delta::try_from(args.delta)?);
    let (noise_multiplier, sampling_rate, steps) = match (
        args.noise_multiplier,
        args.sampling_rate,
        args.steps,
    ) {
        (None, Some(rate), Some(steps)) => {
            (calibration::noise_multiplier(target, delta, rate, steps)?, rate, steps)
        }
        (Some(noise), None, Some(steps)) => {
            (noise, calibration::sampling_rate(target, delta, noise, steps)?, steps)
        }
        (Some(noise), Some(rate), None) => (noise, rate, calibration::steps(target, delta, noise, rate)?),
        _ => bail!(
            "give two of --noise-multiplier, --sampling-rate and --steps: the third is what calibrate finds"
        ),
    };
    let run = Event::subsampled_gaussian(noise_multiplier, sampling_rate, steps)?;
    let epsilon = pld::epsilon(&[run], delta);
    if args.json {
        return Ok(json!({
            "noise_multiplier": noise_multiplier,
            "sampling_rate": sampling_rate,
            "steps": steps,
            "epsilon": finite(epsilon),
            "delta": args.delta,
            "accountant": "pld",
        })
        .to_string());
    }
    Ok(format!(
        "noise multiplier {noise_multiplier}, sampling rate {sampling_rate} and {steps} steps give ε = {} at δ = {delta} (pld)",
        up(epsilon)
    ))
}

/// Six digits after the point, rounded up: a promise never errs low.
fn up(epsilon: f64) -> String {
    const DIGITS: f64 = 1e6;
    let rounded = (epsilon * DIGITS).ceil() / DIGITS;
    // The quotient can fall a little below.
    if rounded < epsilon { format!("{:.6}", rounded + 1.0 / DIGITS) } else { format!("{rounded:.6}") }
}

/// JSON has no infinity: an ε that cannot be bounded is null.
fn finite(epsilon: f64) -> Option<f64> {
    epsilon.is_finite().then_some(epsilon)
}

#[cfg(test)]
#[path = "privacy_tests.rs"]
mod tests;
