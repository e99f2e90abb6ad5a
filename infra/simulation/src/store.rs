//! A store with the promises of S3, and no more: a write is on its way until the scheduler lets it land, which may be after its sender was told that
//! it failed, or after its sender's death.

use crate::{chance, elsewhere, pick, tell};
use bytes::Bytes;
use jobs::{Listing, MemoryStore, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError};
use protocol::api::PresignedPut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Slot = Arc<Mutex<Option<Result<String, StoreError>>>>;

enum Write {
    Put { key: String, bytes: Bytes, condition: PutCondition },
    Delete { key: String },
}

/// See the module's head.
pub(crate) struct SimStore {
    /// What has landed.
    pub(crate) plain: MemoryStore,
    on_the_way: Mutex<Vec<(Write, Slot)>>,
    /// Of a thousand operations, how many fail in one way or another.
    pub(crate) faults: AtomicU32,
    /// Writes that landed.
    pub(crate) landed: AtomicU64,
    /// Keys that the last landed writes touched; the checks take them.
    pub(crate) touched: Mutex<Vec<String>>,
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { operation: "serve", reason: "status 503, SlowDown".into() }
}

/// A future of the store in memory never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("the store in memory never waits"),
    }
}

impl SimStore {
    pub(crate) fn new(faults: u32) -> Self {
        Self {
            plain: MemoryStore::new(),
            on_the_way: Mutex::default(),
            faults: faults.into(),
            landed: AtomicU64::new(0),
            touched: Mutex::default(),
        }
    }

    fn fails(&self) -> bool {
        chance(self.faults.load(Ordering::Relaxed))
    }

    /// Writes that did not land yet.
    pub(crate) fn waiting(&self) -> usize {
        self.on_the_way.lock().expect("one thread").len()
    }

    /// Lets one of the writes land, or get lost; true when one landed.
    pub(crate) fn land_one(&self) -> bool {
        let mut waiting = self.on_the_way.lock().expect("one thread");
        if waiting.is_empty() {
            return false;
        }
        let index = pick(waiting.len());
        let (write, slot) = &waiting[index];
        let answer = |result| *slot.lock().expect("one thread") = Some(result);
        if self.fails() {
            answer(Err(unavailable()));
            match pick(3) {
                // Lost, and nothing done.
                0 => drop(waiting.swap_remove(index)),
                // Its sender thinks it lost; it lands some other time.
                1 if matches!(write, Write::Put { .. }) => {}
                // Done, and the answer lost.
                _ => {
                    let (write, _) = waiting.swap_remove(index);
                    drop(waiting);
                    let _ = self.apply(write);
                    return true;
                }
            }
            return false;
        }
        let (write, slot) = waiting.swap_remove(index);
        drop(waiting);
        let result = self.apply(write);
        // One whose sender was told already that it was lost keeps that answer.
        slot.lock().expect("one thread").get_or_insert(result);
        true
    }

    fn apply(&self, write: Write) -> Result<String, StoreError> {
        let (key, result) = match write {
            Write::Put { key, bytes, condition } => {
                let result = now(self.plain.put(&key, bytes, condition));
                (key, result)
            }
            Write::Delete { key } => {
                let result = now(self.plain.delete(&key)).map(|()| String::new());
                (key, result)
            }
        };
        self.landed.fetch_add(1, Ordering::Relaxed);
        tell(|| format!("  {key}: {result:?}"));
        if result.is_ok() {
            self.touched.lock().expect("one thread").push(key);
        }
        result
    }

    async fn write(&self, write: Write) -> Result<String, StoreError> {
        let slot = Slot::default();
        self.on_the_way.lock().expect("one thread").push((write, Arc::clone(&slot)));
        loop {
            elsewhere().await;
            if let Some(result) = slot.lock().expect("one thread").clone() {
                return result;
            }
        }
    }
}

#[async_trait::async_trait]
impl Store for SimStore {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        elsewhere().await;
        if self.fails() {
            return Err(unavailable());
        }
        let object = self.plain.get(key).await;
        elsewhere().await;
        object
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        elsewhere().await;
        if self.fails() { Err(unavailable()) } else { self.plain.head(key).await }
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        self.write(Write::Put { key: key.to_owned(), bytes, condition }).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.write(Write::Delete { key: key.to_owned() }).await.map(|_| ())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, StoreError> {
        elsewhere().await;
        if self.fails() { Err(unavailable()) } else { self.plain.list(prefix, after, limit).await }
    }

    async fn step_back(&self, _: Duration) {
        // For how long is the scheduler's choice.
        elsewhere().await;
    }

    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<String, StoreError> {
        self.plain.presign_get(key, valid, name).await
    }

    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        self.plain.presign_put(key, terms).await
    }
}
