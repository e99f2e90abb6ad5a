//! Reading a request for a job: OpenAI's fields, those that cannot apply refused with their reason, and our settings validated.

use crate::error::{Answer, Failure};
use crate::extract::typed;
use protocol::api::{CreateJob, Method};
use protocol::hyperparameters::DpLora;
use protocol::id::{FileId, ModelId};
use protocol::state::JobSpec;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Fields of OpenAI's that clients may send empty, with why a value is refused.
const REFUSED_FIELDS: [(&str, &str); 4] = [
    ("seed", "the noise seed must stay secret: whoever knows it can subtract the noise"),
    ("validation_file", "a validation loss is not released, since it would cost privacy"),
    ("integrations", "a private job reports to nobody but its owner"),
    ("hyperparameters", "it is deprecated; put the settings under `method.dp_lora`"),
];

/// Longest part that an owner may add to a model's name, as on OpenAI.
const MAX_SUFFIX: usize = 64;
/// Most notes of a job, as on OpenAI.
const MAX_NOTES: usize = 16;
/// Longest name of a note, as on OpenAI.
const MAX_NOTE_NAME: usize = 64;
/// Longest note, as on OpenAI.
const MAX_NOTE: usize = 512;

/// A request whose every field is valid in itself; model and file are still to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRequest {
    pub(crate) model: String,
    pub(crate) training_file: String,
    suffix: Option<String>,
    pub(crate) dp_lora: DpLora,
    metadata: BTreeMap<String, String>,
}

impl JobRequest {
    /// The job's specification.
    pub(crate) fn spec(self, model: ModelId, training_file: FileId) -> JobSpec {
        JobSpec { model, training_file, suffix: self.suffix, dp_lora: self.dp_lora, metadata: self.metadata }
    }
}

/// Reads and checks the body of `POST /v1/fine_tuning/jobs`.
///
/// # Errors
/// 400 that names the field at fault.
pub(crate) fn parse(mut fields: Map<String, Value>) -> Answer<JobRequest> {
    for (name, reason) in REFUSED_FIELDS {
        if fields.remove(name).is_some_and(|value| !is_empty(&value)) {
            let message = format!("`{name}` cannot be set: {reason}.");
            return Err(Failure::invalid("unsupported_parameter", Some(name), message));
        }
    }
    check_method(fields.get("method"))?;
    let request: CreateJob = typed(fields)?;
    let settings = request.method.map(|method: Method| method.dp_lora).unwrap_or_default();
    Ok(JobRequest {
        model: request.model,
        training_file: request.training_file,
        suffix: request.suffix.map(check_suffix).transpose()?,
        dp_lora: settings.validate()?,
        metadata: check_metadata(request.metadata.unwrap_or_default())?,
    })
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Checked before the typed reading, whose error would name the other method's settings instead.
fn check_method(method: Option<&Value>) -> Answer<()> {
    match method.filter(|value| !value.is_null()).map(|value| value.get("type").and_then(Value::as_str)) {
        None | Some(Some("dp_lora")) => Ok(()),
        Some(_) => {
            let message =
                "`method.type` must be `dp_lora`: this service trains with differential privacy only.";
            Err(Failure::invalid("unsupported_method", Some("method"), message))
        }
    }
}

fn check_suffix(suffix: String) -> Answer<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=MAX_SUFFIX).contains(&suffix.len()) && suffix.chars().all(plain) {
        return Ok(suffix);
    }
    let message = format!("`suffix` must be 1 to {MAX_SUFFIX} letters, digits, `-`, `_` or `.`.");
    Err(Failure::invalid("invalid_value", Some("suffix"), message))
}

fn check_metadata(notes: BTreeMap<String, String>) -> Answer<BTreeMap<String, String>> {
    let fits = |(name, note): (&String, &String)| {
        (1..=MAX_NOTE_NAME).contains(&name.chars().count()) && note.chars().count() <= MAX_NOTE
    };
    if notes.len() <= MAX_NOTES && notes.iter().all(fits) {
        return Ok(notes);
    }
    let message = format!(
        "`metadata` takes at most {MAX_NOTES} pairs, with names of 1 to {MAX_NOTE_NAME} and values of at most {MAX_NOTE} characters."
    );
    Err(Failure::invalid("invalid_value", Some("metadata"), message))
}

#[cfg(test)]
#[path = "job_request_tests.rs"]
mod tests;
