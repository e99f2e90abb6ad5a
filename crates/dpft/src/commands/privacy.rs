//! `account` and `calibrate`: the accountant, without training anything.
//!
//! Both speak of the Poisson-subsampled Gaussian mechanism under add-or-remove-one neighbours, by Rényi DP.

use crate::args::{AccountArgs, CalibrateArgs};
use anyhow::bail;
use dp::accountant::rdp;
use dp::{Delta, Epsilon, calibration};
use serde_json::json;

/// Prints the ε that a run spends.
pub(crate) fn account(args: AccountArgs) -> anyhow::Result<()> {
    let delta = Delta::try_from(args.delta)?;
    sampling_rate(args.sampling_rate)?;
    if !(args.noise_multiplier.is_finite() && args.noise_multiplier > 0.0) || args.steps == 0 {
        bail!("--noise-multiplier must be a number above 0 and --steps at least 1");
    }
    let epsilon = rdp::epsilon(args.noise_multiplier, args.sampling_rate, args.steps, delta);
    if args.json {
        println!("{}", json!({"epsilon": finite(epsilon), "delta": args.delta, "accountant": "rdp"}));
    } else {
        println!(
            "ε = {epsilon:.6} at δ = {:e} (RDP; Poisson sampling; add or remove one record)",
            args.delta
        );
    }
    Ok(())
}

/// Prints the noise multiplier that meets a target.
pub(crate) fn calibrate(args: CalibrateArgs) -> anyhow::Result<()> {
    let (target, delta) = (Epsilon::try_from(args.epsilon)?, Delta::try_from(args.delta)?);
    sampling_rate(args.sampling_rate)?;
    let noise_multiplier = calibration::noise_multiplier(target, delta, args.sampling_rate, args.steps)?;
    let epsilon = rdp::epsilon(noise_multiplier, args.sampling_rate, args.steps, delta);
    if args.json {
        println!(
            "{}",
            json!({"noise_multiplier": noise_multiplier, "epsilon": epsilon, "accountant": "rdp"})
        );
    } else {
        println!(
            "noise multiplier {noise_multiplier:.6} gives ε = {epsilon:.6} at δ = {:e} (RDP)",
            args.delta
        );
    }
    Ok(())
}

fn sampling_rate(rate: f64) -> anyhow::Result<()> {
    if rate > 0.0 && rate <= 1.0 {
        Ok(())
    } else {
        bail!("--sampling-rate must lie above 0 and be at most 1")
    }
}

/// JSON has no infinity: an ε that cannot be bounded is null.
fn finite(epsilon: f64) -> Option<f64> {
    epsilon.is_finite().then_some(epsilon)
}
