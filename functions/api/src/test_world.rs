//! A whole API in memory for tests: two tenants, one model, and requests as a client would send them.

use crate::test_store::WatchedStore;
use crate::{ApiConfig, ApiState, Entropy, Planning, key_hash, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use jobs::{ManualClock, MemoryStore, PutCondition, Queue, QueueError, Store};
use protocol::api::{ApiKeyEntry, ModelFileEntry, ModelIndex};
use protocol::id::{ModelId, TenantId};
use protocol::message::SliceMessage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

pub(crate) const KEY_A: &str = "dpft-key-of-a";
pub(crate) const KEY_B: &str = "dpft-key-of-b";
pub(crate) const MODEL: &str = "tiny-model";
pub(crate) const TOKENIZER_JSON: &[u8] = b"a tokenizer";
const START: u64 = 1_700_000_000;

/// Different bytes at every call, the same in every run.
#[derive(Default)]
struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let number = (self.0.fetch_add(1, Ordering::Relaxed) + 1).to_le_bytes();
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = number[i % number.len()];
        }
    }
}

/// Keeps what was sent; fails on demand.
#[derive(Default)]
pub(crate) struct TestQueue {
    pub(crate) sent: Mutex<Vec<SliceMessage>>,
    pub(crate) broken: AtomicBool,
}

#[async_trait::async_trait]
impl Queue for TestQueue {
    async fn send(&self, message: &SliceMessage, _: Duration) -> Result<(), QueueError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(QueueError::Unavailable { operation: "send a message", reason: "test".into() });
        }
        self.sent.lock().unwrap().push(message.clone());
        Ok(())
    }
}

/// An answer: status, headers, and the body as JSON (null when it is none).
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The body, after checking that the request succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    /// Checks status, error code and OpenAI's error shape.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["error"]["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert!(
            self.body["error"]["message"].as_str().is_some_and(|text| text.ends_with('.')),
            "{}",
            self.body
        );
        assert!(self.body["error"]["type"].is_string() && self.body["error"].get("param").is_some());
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    /// What the API sees of the store.
    pub(crate) watched: Arc<WatchedStore>,
    pub(crate) queue: Arc<TestQueue>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) state: ApiState,
    router: Router,
}

impl World {
    /// With more budget than any test spends that does not ask for it.
    pub(crate) async fn new() -> Self {
        Self::with_budget(1_000.0).await
    }

    /// In which all jobs on one file together may spend `dataset_epsilon`.
    pub(crate) async fn with_budget(dataset_epsilon: f64) -> Self {
        let (store, queue) = (Arc::new(MemoryStore::new()), Arc::new(TestQueue::default()));
        let clock = Arc::new(ManualClock::new(START));
        let entropy = Arc::new(CountingEntropy::default());
        let dataset_epsilon = dataset_epsilon.try_into().unwrap();
        // Inline: what a request logs is then logged on its test's own thread.
        let config = ApiConfig { dataset_epsilon, planning: Planning::Inline, ..ApiConfig::default() };
        let watched = Arc::new(WatchedStore::new(store.clone()));
        let state = ApiState::new(watched.clone(), queue.clone(), clock.clone(), entropy, config);
        let world = Self { router: router(state.clone()), store, watched, queue, clock, state };
        for (key, tenant) in [(KEY_A, "tenant-a"), (KEY_B, "tenant-b")] {
            let entry = ApiKeyEntry::new(TenantId::parse(tenant).unwrap(), START);
            world.put_json(&protocol::keys::api_key(&key_hash(key)), &entry).await;
        }
        world.add_model(MODEL).await;
        world
    }

    pub(crate) async fn add_model(&self, name: &str) {
        let id = ModelId::parse(name).unwrap();
        let entry = |bytes: &[u8]| ModelFileEntry {
            bytes: bytes.len() as u64,
            sha256: perturb::Sha256Digest::of(bytes)
                .as_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        };
        let files = BTreeMap::from([
            ("tokenizer.json".to_owned(), entry(TOKENIZER_JSON)),
            ("neighbours.bin".to_owned(), entry(b"a table")),
            ("model.safetensors".to_owned(), entry(b"weights")),
            ("large.safetensors".to_owned(), entry(b"not for a page")),
        ]);
        let index = ModelIndex { id: id.clone(), created: START, description: "A tiny model.".into(), files };
        self.put_json(&protocol::keys::model_file(&id, "index.json"), &index).await;
    }

    pub(crate) async fn put_json(&self, key: &str, value: &impl serde::Serialize) {
        let bytes = Bytes::from(serde_json::to_vec(value).unwrap());
        self.store.put(key, bytes, PutCondition::Always).await.unwrap();
    }

    /// Sends `request` as the owner of `key`.
    pub(crate) async fn send(&self, key: &str, mut request: Request<Body>) -> Reply {
        if !key.is_empty() {
            let value = format!("Bearer {key}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let (status, headers, bytes) = self.respond(request).await;
        Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Sends `request` as it is.
    pub(crate) async fn respond(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    pub(crate) async fn call(&self, key: &str, method: &str, path: &str) -> Reply {
        self.send(key, Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(KEY_A, "GET", path).await
    }

    /// POSTs `body` as JSON, whatever it is.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(KEY_A, json_request(path, body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.post_text(path, body.to_string()).await
    }

    /// Uploads a file by form and returns its id.
    pub(crate) async fn upload(&self, content: &[u8]) -> String {
        let request =
            form_request("/v1/files", Some("train.txt"), "file", content, &[("purpose", "fine-tune")]);
        self.send(KEY_A, request).await.ok()["id"].as_str().unwrap().to_owned()
    }

    /// Creates a job on `file` with defaults and returns its id.
    pub(crate) async fn create_job(&self, file: &str) -> String {
        let body = serde_json::json!({"model": MODEL, "training_file": file});
        self.post("/v1/fine_tuning/jobs", body).await.ok()["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn json_request(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

/// A multipart form with one file in the field `name`.
pub(crate) fn form_request(
    path: &str,
    filename: Option<&str>,
    name: &str,
    content: &[u8],
    fields: &[(&str, &str)],
) -> Request<Body> {
    let mut body = Vec::new();
    for (field, value) in fields {
        body.extend_from_slice(
            format!("--edge\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                .as_bytes(),
        );
    }
    let filename = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
    body.extend_from_slice(
        format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"{filename}\r\n\r\n").as_bytes(),
    );
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let request = Request::builder().method("POST").uri(path);
    request.header("content-type", "multipart/form-data; boundary=edge").body(Body::from(body)).unwrap()
}
