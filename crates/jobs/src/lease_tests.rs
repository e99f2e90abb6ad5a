use super::*;
use crate::store::{Listing, MemoryStore, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError};
use crate::test_jobs::{self, CREATED};
use bytes::Bytes;
use protocol::api::PresignedPut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Loses the answer of the first conditional put, which lands or not.
struct LosesFirstAnswer {
    inner: MemoryStore,
    lost: AtomicBool,
    lands: bool,
}

#[async_trait::async_trait]
impl Store for LosesFirstAnswer {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        self.inner.get(key).await
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.inner.head(key).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        let conditional = matches!(condition, PutCondition::IfMatch(_));
        if conditional && !self.lost.swap(true, Ordering::Relaxed) {
            if self.lands {
                self.inner.put(key, bytes, condition).await?;
            }
            return Err(StoreError::Unavailable { operation: "write an object", reason: "lost".into() });
        }
        self.inner.put(key, bytes, condition).await
    }
    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, StoreError> {
        self.inner.list(prefix, after, limit).await
    }
    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<String, StoreError> {
        self.inner.presign_get(key, valid, name).await
    }
    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        self.inner.presign_put(key, terms).await
    }
}

async fn jobs(lands: bool) -> (JobStore, JobState) {
    let store = LosesFirstAnswer { inner: MemoryStore::new(), lost: AtomicBool::new(false), lands };
    let jobs = JobStore::new(Arc::new(store));
    let state = test_jobs::queued(1);
    jobs.create(&state).await.unwrap();
    (jobs, state)
}

#[tokio::test]
async fn a_lease_whose_put_landed_without_an_answer_is_taken_anew_under_the_next_epoch() {
    let (jobs, state) = jobs(true).await;
    let held = acquire(&jobs, &test_jobs::message(&state, 0), CREATED + 60, CREATED).await.unwrap().value;
    // Epoch 1 may be a rival's who wrote the very same bytes; epoch 2 is certainly ours, and fences the rival.
    assert_eq!((held.lease.epoch, held.lease.expires_at), (2, Some(CREATED + 60)));
    let rival = Change::Release { epoch: 1 };
    assert!(matches!(transition(&held, rival, CREATED), Err(Refusal::Fenced { .. })));
}

#[tokio::test]
async fn a_lease_whose_put_did_not_land_is_tried_again() {
    let (jobs, state) = jobs(false).await;
    let held = acquire(&jobs, &test_jobs::message(&state, 0), CREATED + 60, CREATED).await.unwrap().value;
    assert_eq!(held.lease.epoch, 1);
}

#[tokio::test]
async fn a_rivals_live_lease_is_left_alone() {
    let (jobs, state) = jobs(false).await;
    let message = test_jobs::message(&state, 0);
    acquire(&jobs, &message, CREATED + 60, CREATED).await.unwrap();
    let second = acquire(&jobs, &message, CREATED + 61, CREATED + 1).await;
    assert_eq!(second, Err(JobStoreError::Refused(Refusal::LeaseHeld { until: CREATED + 60 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_workers_one_gets_the_lease() {
    let (jobs, state) = (JobStore::new(Arc::new(MemoryStore::new())), test_jobs::queued(1));
    jobs.create(&state).await.unwrap();
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (jobs, message) = (jobs.clone(), test_jobs::message(&state, 0));
        racers.spawn(async move { acquire(&jobs, &message, CREATED + 60, CREATED).await });
    }
    let mut epochs = Vec::new();
    while let Some(answer) = racers.join_next().await {
        match answer.unwrap() {
            Ok(held) => epochs.push(held.value.lease.epoch),
            Err(error) => {
                assert!(matches!(error, JobStoreError::Refused(Refusal::LeaseHeld { .. })), "{error}")
            }
        }
    }
    assert_eq!(epochs.len(), 1, "{epochs:?}");
}
