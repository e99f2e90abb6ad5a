//! The log of an invocation: JSON lines, each with the request and the trace that it belongs to.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::Context;
use tracing::{Instrument, Span, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Takes log lines and writes those that `filter` lets through as JSON, with the fields of the span they were written in.
pub fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The innermost span alone: there is but one of ours, and those of the libraries say nothing more. Lambda adds the time.
    let lines = tracing_subscriber::fmt().json().with_env_filter(filter).with_span_list(false).without_time();
    lines.with_writer(writer).finish()
}

/// Answers the request in the span of its invocation: AWS's id of the request, and X-Ray's header of the trace, which is empty where nothing is
/// traced. A request that did not come through Lambda has no span.
pub async fn in_span(request: Request, next: Next) -> Response {
    let span = request.extensions().get::<Context>().map_or_else(Span::none, span);
    next.run(request).instrument(span).await
}

fn span(context: &Context) -> Span {
    let trace_id = context.xray_trace_id.as_deref().unwrap_or_default();
    tracing::info_span!("invocation", request_id = context.request_id, trace_id)
}

#[cfg(test)]
#[path = "invocation_tests.rs"]
mod tests;
