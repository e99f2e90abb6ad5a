//! The ranges of the `dp_lora` settings: each check names its setting and the values that it may take.

use crate::choices::{Optimizer, OptimizerName};
use crate::error::ApiError;
use crate::hyperparameters::{
    ALL_LINEAR, ATTENTION, DEFAULT_MOMENTUM, Duration, MAX_EPSILON, TARGET_MODULES,
};
use dp::{Delta, Epsilon};

fn invalid(param: &'static str, message: String) -> ApiError {
    ApiError::invalid("invalid_hyperparameter", Some(param), message)
}

pub(crate) fn epsilon(value: Option<f64>) -> Result<Epsilon, ApiError> {
    let value = value.unwrap_or(8.0);
    let valid = Epsilon::try_from(value).ok().filter(|e| e.get() <= MAX_EPSILON);
    valid.ok_or_else(|| invalid("epsilon", format!("`epsilon` must be a number above 0 and at most {MAX_EPSILON}; 8 is the default, smaller is more private.")))
}

pub(crate) fn delta(value: f64) -> Result<Delta, ApiError> {
    let valid = Delta::try_from(value).ok().filter(|d| (1e-12..=1e-2).contains(&d.get()));
    valid.ok_or_else(|| invalid("delta", "`delta` must lie between 1e-12 and 0.01; leave it out for a value that fits the number of records.".into()))
}

pub(crate) fn integer(
    param: &'static str,
    value: Option<u32>,
    default: u32,
    low: u32,
    high: u32,
) -> Result<u32, ApiError> {
    let value = value.unwrap_or(default);
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(param, format!("`{param}` must be a whole number from {low} to {high}.")))
    }
}

pub(crate) fn number(
    param: &'static str,
    value: Option<f64>,
    default: f64,
    low: f64,
    high: f64,
) -> Result<f64, ApiError> {
    let value = value.unwrap_or(default);
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(param, format!("`{param}` must be a number from {low} to {high}.")))
    }
}

/// From 0 to below 1.
pub(crate) fn below_one(param: &'static str, value: f64) -> Result<f64, ApiError> {
    match (0.0..1.0).contains(&value) {
        true => Ok(value),
        false => Err(invalid(param, format!("`{param}` must be a number from 0 to below 1."))),
    }
}

pub(crate) fn warmup_steps(value: Option<u64>) -> Result<u64, ApiError> {
    let value = value.unwrap_or(0);
    match value <= 1_000_000 {
        true => Ok(value),
        false => Err(invalid("warmup_steps", "`warmup_steps` must be a whole number up to 1000000.".into())),
    }
}

pub(crate) fn optimizer(name: OptimizerName, momentum: Option<f64>) -> Result<Optimizer, ApiError> {
    match (name, momentum) {
        (OptimizerName::Adamw, None) => Ok(Optimizer::Adamw),
        (OptimizerName::Adamw, Some(_)) => {
            Err(invalid("momentum", "`momentum` belongs to `optimizer` = `sgd`; `adamw` has its own.".into()))
        }
        (OptimizerName::Sgd, momentum) => {
            let momentum = below_one("momentum", momentum.unwrap_or(DEFAULT_MOMENTUM))?;
            Ok(Optimizer::Sgd { momentum })
        }
    }
}

pub(crate) fn duration(steps: Option<u64>, epochs: Option<f64>) -> Result<Duration, ApiError> {
    match (steps, epochs) {
        (Some(_), Some(_)) => Err(invalid("steps", "Give `steps` or `epochs`, not both.".into())),
        (Some(steps), None) if (1..=1_000_000).contains(&steps) => Ok(Duration::Steps(steps)),
        (Some(_), None) => Err(invalid("steps", "`steps` must be a whole number from 1 to 1000000.".into())),
        (None, epochs) => number("epochs", epochs, 3.0, 1e-3, 1e4).map(Duration::Epochs),
    }
}

pub(crate) fn target_modules(names: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let names = names.unwrap_or_else(|| vec![ATTENTION.to_owned()]);
    if names == [ALL_LINEAR] || names == [ATTENTION] {
        return Ok(names);
    }
    let known = |name: &String| TARGET_MODULES.contains(&name.as_str());
    let repeated = (1..names.len()).any(|i| names[..i].contains(&names[i]));
    if names.is_empty() || repeated || !names.iter().all(known) {
        let known = TARGET_MODULES.join(", ");
        return Err(invalid(
            "target_modules",
            format!(
                "`target_modules` must be a list, without repeats, of: {known}; or [\"{ALL_LINEAR}\"] or [\"{ATTENTION}\"]."
            ),
        ));
    }
    Ok(names)
}
