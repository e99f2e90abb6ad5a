use super::*;
use serde_json::{Value, json};
use std::io::{Result, Write};
use std::sync::{Arc, Mutex};

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

/// What is logged while `work` runs in the span of an invocation.
fn logged(context: &Context, work: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let filter = EnvFilter::new("warn,finetune_function=info");
    tracing::subscriber::with_default(subscriber(filter, move || writer.clone()), || {
        span(context).in_scope(work);
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_line_carries_the_request_and_the_trace() {
    let mut context = Context::default();
    context.request_id = "8286a188-ba32-4475-8077-530cd35c09a9".into();
    context.xray_trace_id =
        Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".into());
    let lines = logged(&context, || {
        tracing::info!(slice = 3, "a message is done");
        tracing::warn!("something is odd");
    });
    let span =
        json!({"name": "invocation", "request_id": context.request_id, "trace_id": context.xray_trace_id});
    assert_eq!(lines.iter().map(|line| &line["span"]).collect::<Vec<_>>(), [&span, &span]);
    assert_eq!((&lines[0]["level"], &lines[0]["fields"]["slice"]), (&json!("INFO"), &json!(3)));
    assert_eq!(lines[1]["fields"]["message"], "something is odd");
}

#[test]
fn without_tracing_the_request_alone_is_named() {
    let mut context = Context::default();
    context.request_id = "one".into();
    let lines = logged(&context, || tracing::info!("a message is done"));
    assert_eq!(lines[0]["span"], json!({"name": "invocation", "request_id": "one", "trace_id": ""}));
}
