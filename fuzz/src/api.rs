//! The HTTP API: requests of two tenants, one after the other, on a service in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api_function::{ApiConfig, ApiState, Entropy, key_hash, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use jobs::{ManualClock, MemoryStore, PutCondition, Queue, QueueError, Store};
use protocol::api::{ApiKeyEntry, ModelFileEntry, ModelIndex};
use protocol::error::ErrorBody;
use protocol::id::{ModelId, TenantId};
use protocol::keys;
use protocol::message::SliceMessage;
use serde::Serialize;
use tower::ServiceExt;

use crate::check::shown;
use crate::input::SEPARATOR;

/// Requests that one input may hold.
const MAX_REQUESTS: usize = 12;
const START: u64 = 1_700_000_000;
/// What the other tenant wrote into its file's name.
const PRIVATE: &str = "private-of-b";
const TENANTS: [(&str, &str); 2] = [("dpft-key-of-a", "tenant-a"), ("dpft-key-of-b", "tenant-b")];

/// The same bytes in every run, others at every call.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) as u8;
        buffer.fill(number);
    }
}

/// Takes every message.
struct Taken;

#[async_trait::async_trait]
impl Queue for Taken {
    async fn send(&self, _: &SliceMessage, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
}

struct World {
    store: Arc<MemoryStore>,
    router: Router,
}

/// The input is requests with separators between them: a byte that chooses the key, then lines of method and
/// path, content type, idempotency key, then the body.
pub fn run(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without I/O starts").block_on(serve(input));
}

async fn serve(input: &[u8]) {
    let world = World::new().await;
    world.send(&b_uploads()).await;
    for request in input.split(|byte| *byte == SEPARATOR).take(MAX_REQUESTS) {
        let before = world.objects().await;
        let (tenant, status, body) = world.send(request).await;
        check_answer(status, &body);
        check_objects(tenant, &before, &world.objects().await);
        let spoken = String::from_utf8_lossy(input).contains(PRIVATE);
        let told = String::from_utf8_lossy(&body).contains(PRIVATE);
        assert!(spoken || !told || tenant == Some("tenant-b"), "an answer tells of another tenant");
    }
}

/// The first request of every run: the other tenant's file.
fn b_uploads() -> Vec<u8> {
    let file = format!(
        "{{\"filename\": \"{PRIVATE}\", \"bytes\": 5, \"sha256\": \"{}\", \"purpose\": \"fine-tune\"}}",
        "ab".repeat(32)
    );
    request(1, "POST /v1/files", "application/json", "", file.as_bytes())
}

/// A request as [`run`] reads it; `key` is 0 or 1 for a tenant's.
pub fn request(key: u8, line: &str, content_type: &str, idempotency_key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{line}\n{content_type}\n{idempotency_key}\n");
    [&[key][..], head.as_bytes(), body].concat()
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let (clock, entropy) = (Arc::new(ManualClock::new(START)), Arc::new(Counting::default()));
        let state = ApiState::new(store.clone(), Arc::new(Taken), clock, entropy, ApiConfig::default());
        let world = Self { store, router: router(state) };
        for (key, tenant) in TENANTS {
            let tenant = TenantId::parse(tenant).expect("a plain name");
            world.put(&keys::api_key(&key_hash(key)), &ApiKeyEntry::new(tenant, START)).await;
        }
        let id = ModelId::parse("tiny").expect("a plain name");
        let entry = ModelFileEntry { bytes: 9, sha256: "cd".repeat(32) };
        let files = BTreeMap::from([("tokenizer.json".to_owned(), entry)]);
        let index = ModelIndex { id: id.clone(), created: START, description: "Tiny.".into(), files };
        world.put(&keys::model_file(&id, "index.json"), &index).await;
        world
    }

    async fn put(&self, key: &str, value: &impl Serialize) {
        let bytes = Bytes::from(serde_json::to_vec(value).expect("plain data is written"));
        self.store.put(key, bytes, PutCondition::Always).await.expect("memory takes every object");
    }

    /// Every object with its entity tag.
    async fn objects(&self) -> BTreeMap<String, String> {
        let listing = self.store.list("", None, usize::MAX).await.expect("memory lists");
        let mut objects = BTreeMap::new();
        for key in listing.keys {
            let object = self.store.head(&key).await.expect("a listed object is there");
            objects.insert(key, object.etag);
        }
        objects
    }

    /// Sends a request; gives its tenant, and status and body of the answer. What is no HTTP is not sent.
    async fn send(&self, request: &[u8]) -> (Option<&'static str>, StatusCode, Bytes) {
        let (choice, rest) = crate::input::choice(request);
        let tenant = TENANTS.get(usize::from(choice % 3));
        let mut lines = rest.splitn(4, |byte| *byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let (target, content_type, key, body) = (line(), line(), line(), line().to_vec());
        let target = String::from_utf8_lossy(target).into_owned();
        let (method, path) = target.split_once(' ').unwrap_or(("GET", &target));
        let mut request = Request::builder().method(method).uri(path).header("content-type", content_type);
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        if let Some((key, _)) = tenant {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let tenant = tenant.map(|(_, tenant)| *tenant);
        let Ok(request) = request.body(Body::from(body)) else {
            return (tenant, StatusCode::OK, Bytes::new());
        };
        let answer = self.router.clone().oneshot(request).await.expect("a router answers");
        let (head, body) = answer.into_parts();
        (tenant, head.status, to_bytes(body, usize::MAX).await.expect("an answer in memory"))
    }
}

/// No request breaks the service, and a refusal has OpenAI's shape.
fn check_answer(status: StatusCode, body: &[u8]) {
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(body));
    if status.is_client_error() {
        let body: Result<ErrorBody, _> = serde_json::from_slice(body);
        let error = body.expect("a refusal has OpenAI's shape").error;
        assert!(error.code.is_some_and(|code| !code.is_empty()) && !error.r#type.is_empty());
        assert!(error.message.ends_with('.'), "{}", error.message);
        shown(Err::<(), _>(error.message));
    }
}

/// A request changes its own tenant's objects, accounts and usage alone.
fn check_objects(tenant: Option<&str>, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let own = tenant.map(|tenant| {
        [format!("tenants/{tenant}/"), format!("ledgers/{tenant}/"), format!("usage/{tenant}.json")]
    });
    let is_own = |key: &str| own.iter().flatten().any(|prefix| key.starts_with(prefix));
    for key in before.keys().chain(after.keys()) {
        assert!(before.get(key) == after.get(key) || is_own(key), "{tenant:?} changed {key}");
    }
}
