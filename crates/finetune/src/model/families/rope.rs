//! Frequencies of rotary position embeddings, by the rules of `transformers`.
//!
//! With d rotated channels, pair i has the frequency `θ^(−2i/d)`; a rule then changes it:
//!
//! ```text
//! default   θ^(−2i/d)
//! linear    the same divided by `factor`
//! llama3    long wavelengths divided by `factor`, short ones kept, those between interpolated
//! longrope  the same divided by shortᵢ, for sequences of up to the original length; cosines and sines are scaled
//! ```

use std::f64::consts::TAU;

use super::{Fields, invalid, unsupported};
use crate::model::ModelError;
use crate::model::architecture::Rope;

const RULES: &str = "default, linear, llama3, longrope";

/// A rotary embedding, and the longest sequence that it serves where that is not what the model states.
pub(super) struct Rotary {
    pub(super) rope: Rope,
    pub(super) positions: Option<usize>,
}

/// Reads `rope_theta` and the rule of `rope_parameters` or `rope_scaling`.
pub(super) fn rotary(fields: &Fields, head_dim: usize, default_theta: f64) -> Result<Rotary, ModelError> {
    let parameters = match fields.object("rope_parameters")? {
        Some(parameters) => parameters,
        None => fields.object("rope_scaling")?.unwrap_or_else(|| Fields::new(default_rule())),
    };
    let theta = match fields.get("rope_theta")? {
        Some(theta) => theta,
        None => parameters.or("rope_theta", default_theta)?,
    };
    of_parameters(fields, &parameters, head_dim, theta)
}

fn default_rule() -> serde_json::Value {
    serde_json::json!({"rope_type": "default"})
}

/// The rotary embedding of base `theta` under the rule of `parameters`.
pub(super) fn of_parameters(
    fields: &Fields,
    parameters: &Fields,
    head_dim: usize,
    theta: f64,
) -> Result<Rotary, ModelError> {
    let mut rope = plain(head_dim, rotated(fields, parameters, head_dim)?, theta)?;
    let rule: Option<String> = match parameters.get("rope_type")? {
        Some(rule) => Some(rule),
        // Older files say `type`.
        None => parameters.get("type")?,
    };
    let mut positions = None;
    match rule.as_deref() {
        Some("default") => {}
        Some("linear") => {
            let factor: f64 = parameters.required("factor")?;
            rope.inverse_frequencies.iter_mut().for_each(|f| *f /= factor);
        }
        Some("llama3") => llama3(&mut rope, parameters)?,
        Some("longrope" | "su") => positions = Some(longrope(&mut rope, fields, parameters)?),
        Some(other) => return Err(unsupported(format!("rope scaling {other}"), RULES)),
        None => return Err(unsupported("rope scaling without a type".into(), RULES)),
    }
    Ok(Rotary { rope, positions })
}

/// Channels of a head that are turned.
fn rotated(fields: &Fields, parameters: &Fields, head_dim: usize) -> Result<usize, ModelError> {
    let share = match fields.get("partial_rotary_factor")? {
        Some(share) => share,
        None => parameters.or("partial_rotary_factor", 1.0)?,
    };
    if !(0.0..=1.0).contains(&share) {
        return Err(invalid(format!("partial_rotary_factor is {share}, but must be from 0 to 1")));
    }
    Ok((head_dim as f64 * share) as usize)
}

fn plain(head_dim: usize, rotated: usize, theta: f64) -> Result<Rope, ModelError> {
    if rotated == 0 || !rotated.is_multiple_of(2) {
        let reason = "and rotary positions need pairs";
        return Err(invalid(format!("{rotated} channels of head_dim ({head_dim}) are turned, {reason}")));
    }
    if !(theta.is_finite() && theta > 0.0) {
        return Err(invalid(format!("rope_theta is {theta}, but must be positive")));
    }
    let frequency = |i: usize| theta.powf(-((2 * i) as f64) / rotated as f64);
    Ok(Rope { inverse_frequencies: (0..rotated / 2).map(frequency).collect(), scale: 1.0 })
}

fn llama3(rope: &mut Rope, parameters: &Fields) -> Result<(), ModelError> {
    let factor: f64 = parameters.required("factor")?;
    let low: f64 = parameters.required("low_freq_factor")?;
    let high: f64 = parameters.required("high_freq_factor")?;
    let original = parameters.required_size("original_max_position_embeddings")? as f64;
    for frequency in &mut rope.inverse_frequencies {
        let wavelength = TAU / *frequency;
        let kept = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
        *frequency = (1.0 - kept) * *frequency / factor + kept * *frequency;
    }
    Ok(())
}

/// The short factors (Ding et al. 2024, section 3); returns the length up to which they hold.
fn longrope(rope: &mut Rope, fields: &Fields, parameters: &Fields) -> Result<usize, ModelError> {
    let short: Vec<f64> = parameters.required("short_factor")?;
    let pairs = rope.inverse_frequencies.len();
    if short.len() != pairs {
        return Err(invalid(format!("short_factor has {} entries for {pairs} pairs", short.len())));
    }
    for (frequency, factor) in rope.inverse_frequencies.iter_mut().zip(&short) {
        *frequency /= factor;
    }
    const ORIGINAL: &str = "original_max_position_embeddings";
    let stated = fields.size(ORIGINAL)?;
    let original = match stated {
        Some(original) => original,
        None => parameters.required_size(ORIGINAL)?,
    };
    let ratio = fields.required_size("max_position_embeddings")? as f64 / original as f64;
    // `factor` counts only where the model does not state its original length itself.
    let factor = if stated.is_some() { ratio } else { parameters.or("factor", ratio)? };
    let growth = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() };
    rope.scale = parameters.or("attention_factor", growth)?;
    Ok(original)
}
