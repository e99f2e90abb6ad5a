//! One log line a request: method, route template, status and milliseconds.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

/// What may reach the log: the libraries below log requests in detail, headers included, so of them only warnings, and our own lines.
pub const LOG_FILTER: &str = "warn,api_function=info,jobs=info,aws_config=off";

/// Logs the request once it is answered. The route's template is logged, not the path: ids name tenants' objects.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, route, status, ms, "request");
    response
}
