//! Errors as OpenAI's API shapes them: `{"error": {"message", "type", "param", "code"}}` and an HTTP status.

use serde::{Deserialize, Serialize};

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error itself.
    pub error: ErrorObject,
}

/// What went wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    /// One plain sentence or two: what is wrong and what to do. Never holds user text or secrets.
    pub message: String,
    /// Kind of error, for example `invalid_request_error`.
    pub r#type: String,
    /// The request's field at fault.
    pub param: Option<String>,
    /// A stable word for programs, for example `model_not_found`.
    pub code: Option<String>,
}

/// An error with its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// See [`ErrorObject::message`].
    pub message: String,
    /// See [`ErrorObject::param`].
    pub param: Option<&'static str>,
    /// See [`ErrorObject::code`].
    pub code: &'static str,
}

impl ApiError {
    /// 400: the request is wrong; sending it again cannot help.
    pub fn invalid(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param, code }
    }

    /// 401: no key, or one that is not known.
    pub fn unauthorized() -> Self {
        Self {
            status: 401,
            message: "The API key is missing or not known. Send `Authorization: Bearer <key>` with a key of this service.".into(),
            param: None,
            code: "invalid_api_key",
        }
    }

    /// 404: not there, or another tenant's; the two answers are the same on purpose.
    pub fn not_found(kind: &str, id: &str) -> Self {
        let shown: String = id.chars().filter(|c| !c.is_control()).take(120).collect();
        Self { status: 404, message: format!("No such {kind}: `{shown}`."), param: None, code: "not_found" }
    }

    /// 409: the object is in a state that does not allow this.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 409, message: message.into(), param: None, code }
    }

    /// 413: more bytes than allowed.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { status: 413, message: message.into(), param: None, code: "file_too_large" }
    }

    /// 500: ours; the caller may try again.
    pub fn internal() -> Self {
        Self {
            status: 500,
            message: "The service could not finish this request. Nothing was changed half-way; try again."
                .into(),
            param: None,
            code: "internal_error",
        }
    }

    /// The body to send.
    pub fn body(&self) -> ErrorBody {
        let kind = match self.status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        ErrorBody {
            error: ErrorObject {
                message: self.message.clone(),
                r#type: kind.into(),
                param: self.param.map(Into::into),
                code: Some(self.code.into()),
            },
        }
    }
}
