//! A presigned link allows what its signature covers and nothing beside it. Headers that begin with `x-amz-` steer S3 (access lists, tags, copies,
//! storage classes, redirects), and whoever holds a link could add one that nobody signed; S3 refuses those, hence so does this.
//!
//! Requests that are signed in their `Authorization` header are not looked at: only the service has that secret.

use axum::extract::{Query, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};

/// What the headers that steer S3 begin with.
const STEERING: &str = "x-amz-";

/// The link's parameter that lists what its signature covers, parted by semicolons.
const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";

/// Refuses a presigned request with an `x-amz-*` header outside of its signature: 403, `AccessDenied`.
pub(super) async fn require(request: Request, next: Next) -> Response {
    match unsigned(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(name) => refusal(&name),
    }
}

/// The first `x-amz-*` header that the link at `uri` does not sign; none if `uri` is no presigned link.
fn unsigned(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    // Decoded as the signature's check decodes them, so that no spelling of the parameter's name hides it.
    let signed: Vec<String> = match Query::<Vec<(String, String)>>::try_from_uri(uri) {
        Ok(Query(pairs)) => {
            let lists = pairs.into_iter().filter(|(name, _)| name == SIGNED_HEADERS);
            let lists: Vec<String> = lists.map(|(_, list)| list).collect();
            if lists.is_empty() {
                return None;
            }
            lists.iter().flat_map(|list| list.split(';')).map(str::to_ascii_lowercase).collect()
        }
        // Nobody knows what such a link signs.
        Err(_) => Vec::new(),
    };
    let steering = headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with(STEERING));
    steering.filter(|name| !signed.iter().any(|known| known == name)).map(str::to_owned).next()
}

fn refusal(name: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code>\
         <Message>the link does not sign the header {name}</Message></Error>"
    );
    (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/xml")], body).into_response()
}

#[cfg(test)]
#[path = "signed_headers_tests.rs"]
mod tests;
