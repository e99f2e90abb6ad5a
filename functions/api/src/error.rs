//! What a handler returns when it cannot answer: an [`ApiError`], sent in OpenAI's shape.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::{DeletionError, JobStoreError, LedgerStoreError, QueueError, QuotaError, StoreError};
use protocol::error::ApiError;
use protocol::id::InvalidId;

/// An [`ApiError`] on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub ApiError);

/// What handlers return.
pub(crate) type Answer<T> = Result<T, Failure>;

/// OpenAI's clients ask this header whether to send a request again; a conflict here does not pass by waiting.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// `reason` with a capital letter and a full stop.
pub(crate) fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

impl Failure {
    /// 400 with a stable `code`; see [`ApiError::invalid`].
    pub fn invalid(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self(ApiError::invalid(code, param, message))
    }

    /// 409: the `Idempotency-Key` belongs to another job.
    pub(crate) fn key_reused() -> Self {
        let message = "This `Idempotency-Key` was used for another job. Use a new key for a new job.";
        Self(ApiError::conflict("idempotency_key_reused", message))
    }

    /// 409: the `Idempotency-Key` belongs to a job that is gone for good.
    pub(crate) fn key_of_deleted() -> Self {
        let message =
            "This `Idempotency-Key` was used for a job that was deleted. Use a new key for a new job.";
        Self(ApiError::conflict("idempotency_key_reused", message))
    }

    /// 404, the same whether the object is another's or nobody's.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self(ApiError::not_found(kind, id))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0.body())).into_response();
        if status.is_client_error() {
            response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<InvalidId> for Failure {
    fn from(error: InvalidId) -> Self {
        Self::invalid("invalid_value", Some(error.kind), format!("{error}."))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the object store failed a request");
        Self(ApiError::internal())
    }
}

impl From<JobStoreError> for Failure {
    fn from(error: JobStoreError) -> Self {
        tracing::error!(%error, "a job could not be read or changed");
        Self(ApiError::internal())
    }
}

impl From<DeletionError> for Failure {
    fn from(error: DeletionError) -> Self {
        tracing::error!(%error, "a job could not be deleted; what is left of it goes at the next try");
        Self(ApiError::internal())
    }
}

impl From<QuotaError> for Failure {
    fn from(error: QuotaError) -> Self {
        let message = match error {
            QuotaError::Jobs(most) => format!(
                "You have {most} jobs that are not finished, and may have no more at a time. Wait until one is finished, or cancel one."
            ),
            QuotaError::Functions(most) => format!(
                "You may use {most} functions at a time, and this job asks for more. Ask for at most {most} `workers`."
            ),
            QuotaError::Bytes(most) => format!(
                "Your files may take {} MiB in all, and this one does not fit any more. Delete files or jobs that you no longer need.",
                most >> 20
            ),
            QuotaError::Contended | QuotaError::Jobstore(_) | QuotaError::Store(_) => {
                tracing::error!(%error, "a tenant's usage could not be read or changed");
                return Self(ApiError::internal());
            }
        };
        Self(ApiError { status: 429, message, param: None, code: "quota_exceeded" })
    }
}

impl From<LedgerStoreError> for Failure {
    fn from(error: LedgerStoreError) -> Self {
        tracing::error!(%error, "the account of a data set could not be read or changed");
        Self(ApiError::internal())
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        tracing::error!(%error, "the queue failed a request");
        Self(ApiError::internal())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        // Only stored objects are read this way; requests go through `extract`. Position alone: the text is a tenant's.
        tracing::error!(line = error.line(), column = error.column(), "a stored object cannot be read");
        Self(ApiError::internal())
    }
}
