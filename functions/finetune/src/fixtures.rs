//! A whole service in memory: store, queue, clock, the demo model and jobs on it.

use crate::handler::Worker;
use crate::runner::{FinetuneRunner, Settings};
use crate::{fetch, handle};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use bytes::Bytes;
use jobs::{
    Clock, DriverContext, JobStore, LedgerStore, Limits, LocalQueue, LocalQueueConfig, MemoryStore,
    PutCondition, Queue, Store,
};
use protocol::api::{FileMeta, ModelFileEntry, ModelIndex, PURPOSE_FINE_TUNE};
use protocol::hyperparameters::DpLoraRequest;
use protocol::id::{FileId, Filename, JobId, ModelId, TenantId};
use protocol::keys;
use protocol::message::SliceMessage;
use protocol::signature::CertificateKey;
use protocol::state::{JobSpec, JobState, Protection};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const MODEL_FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// A clock on which every look takes a second, so that a budget in seconds is one in looks.
pub(crate) struct TickingClock(AtomicU64);

#[async_trait::async_trait]
impl Clock for TickingClock {
    fn now(&self) -> u64 {
        NOW
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) queue: Arc<LocalQueue>,
    pub(crate) worker: Worker,
    pub(crate) tenant: TenantId,
    pub(crate) model: ModelId,
}

pub(crate) fn model_file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    std::fs::read(folder.join(name)).unwrap()
}

/// Few and short enough for a test, private enough to be calibrated.
pub(crate) fn request() -> DpLoraRequest {
    DpLoraRequest {
        steps: Some(5),
        batch_size: Some(2),
        max_length: Some(16),
        rank: Some(2),
        ..Default::default()
    }
}

/// Lines of [`TEXT`] that are not blank.
pub(crate) const RECORDS: usize = 4;

pub(crate) const TEXT: &str =
    "The cat sat on the mat.\nOne day a dog came by.\n\nThey played.\nThen it was night.\n";

impl World {
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TickingClock(AtomicU64::new(0)));
        let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(1_000), max_receives: 5 };
        let queue = Arc::new(LocalQueue::in_memory(config, clock.clone()));
        let settings = Settings {
            code_version: "1.2.3".into(),
            threads: 2,
            margin: Duration::ZERO,
            scratch: None,
            signing_key: Some(CertificateKey::from_bytes([5; 32])),
        };
        let runner = Arc::new(FinetuneRunner::new(store.clone(), clock.clone(), settings));
        let context = DriverContext {
            store: store.clone(),
            queue: queue.clone(),
            clock,
            runner,
            limits: Limits::default(),
        };
        let model = ModelId::parse("demo-llama-4m").unwrap();
        let world = Self {
            store,
            queue,
            worker: Worker { context, metrics: None },
            tenant: TenantId::parse("acme").unwrap(),
            model,
        };
        for name in MODEL_FILES {
            world.put(&keys::model_file(&world.model, name), &model_file(name)).await;
        }
        world.index_model().await;
        world
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        self.store.put(key, Bytes::copy_from_slice(bytes), PutCondition::Always).await.unwrap();
    }

    /// Writes the index of whatever lies in the model's folder.
    pub(crate) async fn index_model(&self) {
        let mut index = ModelIndex {
            id: self.model.clone(),
            created: NOW,
            description: "x".into(),
            files: Default::default(),
        };
        for name in MODEL_FILES {
            let bytes = self.store.get(&keys::model_file(&self.model, name)).await.unwrap().bytes;
            let entry = ModelFileEntry { bytes: bytes.len() as u64, sha256: fetch::sha256(&bytes) };
            index.files.insert(name.to_owned(), entry);
        }
        let key = keys::model_file(&self.model, keys::MODEL_INDEX);
        self.put(&key, &serde_json::to_vec(&index).unwrap()).await;
    }

    /// Uploads a file.
    pub(crate) async fn upload(&self, content: &[u8]) -> FileMeta {
        let id = FileId::derived(&[&fetch::sha256(content)]);
        let meta = FileMeta {
            content_key: keys::file_content(&self.tenant, &id),
            id,
            filename: Filename::parse("text.txt").unwrap(),
            bytes: content.len() as u64,
            sha256: fetch::sha256(content),
            purpose: PURPOSE_FINE_TUNE.into(),
            created_at: NOW,
        };
        self.put(&meta.content_key, content).await;
        self.put(&keys::file_meta(&self.tenant, &meta.id), &serde_json::to_vec(&meta).unwrap()).await;
        meta
    }

    /// Creates a job on an uploaded file of [`TEXT`]'s records and asks for its first slice.
    pub(crate) async fn submit(&self, file: &FileMeta, request: DpLoraRequest) -> JobState {
        self.submit_on(file, request, RECORDS).await
    }

    /// Creates a job on an uploaded file of that many records, charges it as the API does, and asks for its first slice.
    pub(crate) async fn submit_on(
        &self,
        file: &FileMeta,
        request: DpLoraRequest,
        records: usize,
    ) -> JobState {
        let spec = JobSpec {
            model: self.model.clone(),
            training_file: file.id.clone(),
            suffix: None,
            dp_lora: request.validate().unwrap(),
            metadata: Default::default(),
        };
        let id = JobId::derived(&[file.id.as_str()]);
        let protection = Protection {
            plan: spec.dp_lora.plan(records, spec.dp_lora.privacy_unit).unwrap(),
            dataset: file.sha256.clone(),
            budget: dp::Budget { epsilon: 20.0.try_into().unwrap(), delta: 1e-5.try_into().unwrap() },
        };
        let (tenant, seed) = (self.tenant.clone(), dp::SecretSeed::from_bytes([7; 32]));
        let state = JobState::new(id, tenant, spec, protection, seed, NOW);
        let ledgers = LedgerStore::new(self.store.clone());
        let Protection { dataset, budget, .. } = &state.protection;
        ledgers.charge(&state.tenant, dataset, *budget, &state.id, state.charge(), NOW).await.unwrap();
        JobStore::new(self.store.clone()).create(&state).await.unwrap();
        self.queue.send(&message(&state, 0), Duration::ZERO).await.unwrap();
        state
    }

    pub(crate) async fn state(&self, job: &JobState) -> JobState {
        JobStore::new(self.store.clone()).load(&job.tenant, &job.id).await.unwrap().value
    }

    /// Hands `event` to the handler with a budget of `seconds`.
    pub(crate) async fn handle(&self, event: SqsEvent, seconds: u64) -> SqsBatchResponse {
        let deadline = self.worker.context.clock.monotonic() + Duration::from_secs(seconds);
        handle(&self.worker, event, deadline).await
    }

    /// Takes messages from the queue and handles them until there are none; returns how many there were.
    pub(crate) async fn work(&self, seconds: u64) -> usize {
        let mut handled = 0;
        while let Some(delivery) = self.queue.try_receive() {
            let event = event(&[(&delivery.message_id, &delivery.body, delivery.receive_count)]);
            let response = self.handle(event, seconds).await;
            assert!(response.batch_item_failures.is_empty(), "{response:?}");
            self.queue.ack(&delivery.receipt).unwrap();
            handled += 1;
        }
        handled
    }

    /// A result of a job by name.
    pub(crate) async fn result(&self, job: &JobState, name: &str) -> Vec<u8> {
        for file in &self.state(job).await.result_files {
            let meta = self.store.get(&keys::file_meta(&job.tenant, file)).await.unwrap();
            let meta: FileMeta = serde_json::from_slice(&meta.bytes).unwrap();
            if meta.filename.as_str() == name {
                return self.store.get(&meta.content_key).await.unwrap().bytes.to_vec();
            }
        }
        panic!("there is no result {name}");
    }
}

pub(crate) fn message(job: &JobState, slice: u64) -> SliceMessage {
    SliceMessage::whole(&job.tenant, &job.id, slice)
}

/// An event as Lambda sends it, of message ids, bodies and receive counts.
pub(crate) fn event(messages: &[(&str, &str, u32)]) -> SqsEvent {
    let record = |(id, body, count): &(&str, &str, u32)| {
        json!({
            "messageId": id,
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": count.to_string(),
                "SentTimestamp": "1545082649183",
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1545082649185"
            },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:slices",
            "awsRegion": "eu-central-1"
        })
    };
    let records: Vec<_> = messages.iter().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}
