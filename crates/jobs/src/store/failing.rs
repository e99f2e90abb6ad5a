//! A store that fails on plan, to show that its users survive it.

use super::{Listing, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError};
use bytes::Bytes;
use protocol::api::PresignedPut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What happens to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails and nothing was done.
    Before,
    /// A put or delete is done and its answer lost; a read fails.
    After,
}

/// How often operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// Seed of the choices; the same seed gives the same faults in the same order of operations.
    pub seed: u64,
    /// Of 1000 operations, how many fail before anything was done.
    pub before_per_mille: u64,
    /// Of 1000 operations, how many fail after all was done.
    pub after_per_mille: u64,
}

/// Wraps a store and lets its operations fail.
#[derive(Debug)]
pub struct FailingStore<S> {
    inner: S,
    plan: FaultPlan,
    operations: AtomicU64,
}

impl<S: Store> FailingStore<S> {
    /// Fails `inner` as `plan` says.
    pub fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, plan, operations: AtomicU64::new(0) }
    }

    /// The store without faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn next_fault(&self) -> Fault {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        let draw = mix(self.plan.seed ^ mix(operation)) % 1000;
        let before = self.plan.before_per_mille;
        match draw {
            draw if draw < before => Fault::Before,
            draw if draw < before + self.plan.after_per_mille => Fault::After,
            _ => Fault::None,
        }
    }

    fn broken<T>(operation: &'static str) -> Result<T, StoreError> {
        Err(StoreError::Unavailable { operation, reason: "an injected fault".into() })
    }
}

/// The finaliser of SplitMix64: spreads the operation's number over all bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[async_trait::async_trait]
impl<S: Store> Store for FailingStore<S> {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        match self.next_fault() {
            Fault::None => self.inner.get(key).await,
            _ => Self::broken("read an object"),
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        match self.next_fault() {
            Fault::None => self.inner.head(key).await,
            _ => Self::broken("look up an object"),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        match self.next_fault() {
            Fault::None => self.inner.put(key, bytes, condition).await,
            Fault::Before => Self::broken("write an object"),
            // The put may have been refused; the caller learns neither.
            Fault::After => {
                let _unknown = self.inner.put(key, bytes, condition).await;
                Self::broken("write an object")
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.next_fault() {
            Fault::None => self.inner.delete(key).await,
            Fault::Before => Self::broken("delete an object"),
            Fault::After => {
                self.inner.delete(key).await?;
                Self::broken("delete an object")
            }
        }
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, StoreError> {
        match self.next_fault() {
            Fault::None => self.inner.list(prefix, start_after, limit).await,
            _ => Self::broken("list objects"),
        }
    }

    async fn step_back(&self, wait: Duration) {
        self.inner.step_back(wait).await;
    }

    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        download_name: Option<&str>,
    ) -> Result<String, StoreError> {
        self.inner.presign_get(key, valid, download_name).await
    }

    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        self.inner.presign_put(key, terms).await
    }
}
