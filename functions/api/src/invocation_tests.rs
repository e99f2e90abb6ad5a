use super::*;
use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use axum::routing::get;
use serde_json::{Value, json};
use std::io::{Result, Write};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use tracing::instrument::WithSubscriber;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The line that one request to a path with an id in it writes.
async fn logged(context: Option<Context>) -> Value {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber(EnvFilter::new("warn,api_function=info"), move || writer.clone());
    let router = Router::new()
        .route("/v1/files/{id}", get(|| async { "x" }))
        .layer(from_fn(crate::request_log::log))
        .layer(from_fn(in_span));
    let mut request = Request::builder().uri("/v1/files/file-1?x=2").body(Body::empty()).unwrap();
    request.extensions_mut().extend(
        context
            .map(|context| {
                let mut extensions = axum::http::Extensions::new();
                extensions.insert(context);
                extensions
            })
            .unwrap_or_default(),
    );
    router.oneshot(request).with_subscriber(subscriber).await.unwrap();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_requests_line_carries_its_id_and_its_trace() {
    let mut context = Context::default();
    context.request_id = "8286a188-ba32-4475-8077-530cd35c09a9".into();
    context.xray_trace_id = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".into());
    let line = logged(Some(context.clone())).await;
    let span =
        json!({"name": "invocation", "request_id": context.request_id, "trace_id": context.xray_trace_id});
    assert_eq!(line["span"], span);
    assert_eq!(
        (&line["fields"]["route"], &line["fields"]["status"]),
        (&json!("/v1/files/{id}"), &json!(200))
    );
    assert!(!line.to_string().contains("file-1"), "{line}");
}

#[tokio::test]
async fn a_request_from_elsewhere_has_no_span() {
    assert_eq!(logged(None).await.get("span"), None);
}
