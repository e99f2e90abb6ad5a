//! Checking a certificate without trusting it: the signature, every figure that follows from others, and ε by the accountant itself.
//!
//! What cannot be checked from the file alone is whether training was done as stated: that is what the signer vouches for.

use crate::certificate::{CERTIFICATE_VERSION, Certificate, LocalGuarantee, NOISE, TrainingGuarantee};
use crate::signature::{self, SignatureError};

/// Hosts round an ε differently in its last bits; a stated one may fall short of the recomputed one by this much, relatively.
pub const EPSILON_TOLERANCE: f64 = 1e-6;

/// What the checks found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// The certificate.
    pub certificate: Certificate,
    /// The key that signed it (64 hexadecimal digits), or why there is no valid signature.
    pub signed_by: Result<String, SignatureError>,
    /// ε of the stated plan by the stated accountant; none if there is no such plan.
    pub epsilon: Option<f64>,
    /// Everything that does not hold, one sentence each; a missing or bad signature is among them.
    pub problems: Vec<String>,
}

/// Checks the text of a `privacy.json`.
///
/// # Errors
/// [`SignatureError::NotACertificate`] if it cannot be read at all; everything else is a problem in the result.
pub fn verify(text: &str) -> Result<Verification, SignatureError> {
    let certificate: Certificate = serde_json::from_str(text).map_err(|_| SignatureError::NotACertificate)?;
    let signed_by = signature::check(text);
    let mut problems: Vec<String> = signed_by.as_ref().err().map(ToString::to_string).into_iter().collect();
    if certificate.version != CERTIFICATE_VERSION {
        problems
            .push(format!("it is of version {}; this is version {CERTIFICATE_VERSION}", certificate.version));
    }
    let epsilon = training(&certificate, &mut problems);
    if let Some(local) = &certificate.local {
        self::local(local, &mut problems);
    }
    Ok(Verification { certificate, signed_by, epsilon, problems })
}

fn training(certificate: &Certificate, problems: &mut Vec<String>) -> Option<f64> {
    let stated = &certificate.training;
    let mut wrong = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    wrong(stated.mechanism == "dp-sgd", "the training mechanism is not DP-SGD");
    wrong(stated.noise == NOISE, "the noise is not the one that this version draws");
    let plan = match stated.plan() {
        Ok(plan) => plan,
        Err(error) => {
            problems.push(format!("there is no such training plan: {error}"));
            return None;
        }
    };
    wrong(stated.sampling_rate == plan.sampling_rate(), "the sampling rate is not batch size / records");
    let epsilon = plan.epsilon();
    wrong(states_at_least(stated, epsilon), "the stated training epsilon is less than the plan spends");
    let settings = &certificate.hyperparameters;
    wrong(stated.epsilon <= settings.epsilon.get(), "training spent more than was asked for");
    wrong(stated.max_grad_norm == settings.max_grad_norm, "the clipping norm is not the one asked for");
    wrong(stated.clipping == settings.clipping, "the clipping rule is not the one asked for");
    wrong(
        stated.loss_noise_multiplier.is_some() == settings.loss_curve,
        "losses were released unasked, or not as asked",
    );
    let within = certificate
        .dataset_budget
        .is_none_or(|budget| budget.delta != plan.delta() || stated.epsilon <= budget.epsilon.get());
    wrong(within, "training spent more than the data set's budget");
    Some(epsilon)
}

fn states_at_least(stated: &TrainingGuarantee, epsilon: f64) -> bool {
    // Not a number compares as false, so it is a problem as it should be.
    stated.epsilon >= epsilon * (1.0 - EPSILON_TOLERANCE)
}

fn local(stated: &LocalGuarantee, problems: &mut Vec<String>) {
    let tokens = match (stated.notion.as_str(), stated.delta) {
        ("pure-epsilon-ldp", None) => stated.max_tokens_in_a_record,
        // Gaussian tokens compose better than by addition, and the table that their ε depends on is not at hand: a record is
        // worth its own one token at least.
        ("approximate-ldp", Some(delta)) if delta > 0.0 && delta < 1.0 => {
            stated.max_tokens_in_a_record.min(1)
        }
        _ => {
            problems.push("the text's guarantee is of a kind that this version does not know".into());
            return;
        }
    };
    // Summing a record's tokens rounds once a token at most.
    let sum = stated.epsilon_per_token * tokens as f64;
    if !(stated.epsilon_per_token > 0.0 && stated.epsilon_of_longest_record >= sum * (1.0 - 1e-9)) {
        problems.push("the longest record's epsilon is less than its tokens' together".into());
    }
    if stated.max_tokens_in_a_record > stated.tokens {
        problems.push("the longest record has more tokens than the whole text".into());
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
