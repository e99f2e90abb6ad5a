//! Problems that only the owner can solve, as the API shows them.

use jobs::SliceError;
use protocol::error::ErrorObject;

/// What is wrong with a job's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The base model.
    Model,
    /// The training file.
    TrainingFile,
    /// The training settings.
    Settings,
}

/// The job can never succeed: `message` says what is wrong and what to do, without text of the owner's.
pub(crate) fn permanent(subject: Subject, message: impl std::fmt::Display) -> SliceError {
    let (param, code) = match subject {
        Subject::Model => ("model", "invalid_model"),
        Subject::TrainingFile => ("training_file", "invalid_training_file"),
        Subject::Settings => ("method", "invalid_hyperparameter"),
    };
    SliceError::Permanent(ErrorObject {
        message: sentence(&message.to_string()),
        r#type: "invalid_request_error".into(),
        param: Some(param.into()),
        code: Some(code.into()),
    })
}

/// Error texts begin small and end without a stop; what the owner reads is a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
