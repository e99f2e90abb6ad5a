//! A request's body: whole, in time, of bounded size and not compressed, or refused before a handler sees any of it.
//!
//! On Lambda the gateway has done most of this. Locally nobody has, and the same router answers.
//!
//! Invariant: of one request at most [`MAX_BODY_BYTES`] are kept, for at most [`PATIENCE`] while they arrive.

use crate::ApiState;
use crate::error::{Answer, Failure};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use protocol::api::MAX_BODY_BYTES;
use protocol::error::ApiError;
use std::time::Duration;

/// What is read and thrown away of a body that is too large, so that the sender gets to see the answer instead of a broken connection.
pub(crate) const MAX_DRAINED_BYTES: u64 = 64 * 1024 * 1024;

/// How long a body may take in all: the largest one comes through at 1.2 Mbit/s. In all, not between two bytes, or a sender of one byte at a time
/// could keep its place for weeks.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the whole body, or answers 408, 413 or 415. Handlers behind it find the body in memory, as on Lambda.
pub(crate) async fn buffer(State(state): State<ApiState>, request: Request, next: Next) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let body = tokio::select! {
        // What is there already is never late.
        biased;
        body = read(body) => body?,
        () = state.clock.sleep(PATIENCE) => return Err(too_slow()),
    };
    // Only now, so that the sender is done sending and sees the answer.
    check_encoding(&parts.headers)?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

async fn read(body: Body) -> Answer<Vec<u8>> {
    let mut kept = Vec::new();
    let mut seen = 0_u64;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Failure::invalid("incomplete_body", None, "The request's body broke off."))?;
        seen += chunk.len() as u64;
        if seen <= MAX_BODY_BYTES {
            kept.extend_from_slice(&chunk);
        } else if seen > MAX_DRAINED_BYTES {
            break;
        } else {
            kept = Vec::new();
        }
    }
    if seen > MAX_BODY_BYTES { Err(too_large()) } else { Ok(kept) }
}

/// A compressed body could unfold to any size, and no client of this API sends one.
fn check_encoding(headers: &HeaderMap) -> Answer<()> {
    let plain = |text: &str| text.split(',').all(|word| word.trim().eq_ignore_ascii_case("identity"));
    if headers.get_all(CONTENT_ENCODING).iter().all(|value| value.to_str().is_ok_and(plain)) {
        return Ok(());
    }
    let message = "Compressed bodies are not taken. Send the body as it is, without `Content-Encoding`.";
    Err(ApiError { status: 415, message: message.into(), param: None, code: "unsupported_encoding" }.into())
}

/// 413, with the other ways to send a file.
pub(crate) fn too_large() -> Failure {
    let mib = MAX_BODY_BYTES / (1024 * 1024);
    let message = format!(
        "The request's body is larger than {mib} MiB. Send a larger file by a presigned link (POST /v1/files with JSON: filename, bytes, \
         sha256, purpose), or in parts of at most {mib} MiB (POST /v1/uploads)."
    );
    Failure(ApiError::too_large(message))
}

fn too_slow() -> Failure {
    let message = format!(
        "The request's body did not arrive within {} seconds. Send it in smaller parts (POST /v1/uploads), or by a presigned link \
         (POST /v1/files with JSON).",
        PATIENCE.as_secs()
    );
    Failure(ApiError { status: 408, message, param: None, code: "request_timeout" })
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
