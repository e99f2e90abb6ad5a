//! The log of an invocation: JSON lines, each with the request and the trace that it belongs to.

use lambda_runtime::Context;
use tracing::{Span, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Takes log lines and writes those that `filter` lets through as JSON, with the fields of the span they were written in.
pub fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The innermost span alone: there is but one of ours, and those of the libraries say nothing more.
    let lines = tracing_subscriber::fmt().json().with_env_filter(filter).with_span_list(false);
    lines.with_writer(writer).finish()
}

/// The span of an invocation: AWS's id of the request, and X-Ray's header of the trace, which is empty where nothing is traced.
pub fn span(context: &Context) -> Span {
    let trace_id = context.xray_trace_id.as_deref().unwrap_or_default();
    tracing::info_span!("invocation", request_id = context.request_id, trace_id)
}

#[cfg(test)]
#[path = "invocation_tests.rs"]
mod tests;
