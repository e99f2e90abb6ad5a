//! A store for tests that remembers what the API did with it, signs links that can be told, and breaks on demand.

use bytes::Bytes;
use jobs::{Listing, MemoryStore, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError};
use protocol::api::PresignedPut;
use protocol::keys::API_KEYS_PREFIX;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stands where a link's signature would.
pub(crate) const SIGNATURE: &str = "5ec7e7519a7u7e-of-a-link";

/// A link that was signed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SignedLink {
    pub(crate) key: String,
    pub(crate) valid: Duration,
    /// A PUT's terms; none for a GET.
    pub(crate) terms: Option<PutTerms>,
}

pub(crate) struct WatchedStore {
    inner: Arc<MemoryStore>,
    touched: Mutex<Vec<String>>,
    links: Mutex<Vec<SignedLink>>,
    broken: AtomicBool,
}

impl WatchedStore {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> Self {
        Self { inner, touched: Mutex::default(), links: Mutex::default(), broken: AtomicBool::new(false) }
    }

    /// Every key and prefix that was named since the last [`forget`](Self::forget), in order.
    pub(crate) fn touched(&self) -> Vec<String> {
        self.touched.lock().unwrap().clone()
    }

    /// Every link that was signed since.
    pub(crate) fn links(&self) -> Vec<SignedLink> {
        self.links.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.touched.lock().unwrap().clear();
        self.links.lock().unwrap().clear();
    }

    /// From now on everything but API keys fails, or works again.
    pub(crate) fn break_down(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    fn touch(&self, key: &str) -> Result<(), StoreError> {
        self.touched.lock().unwrap().push(key.to_owned());
        if self.broken.load(Ordering::Relaxed) && !key.starts_with(API_KEYS_PREFIX) {
            return Err(StoreError::Unavailable { operation: "do anything", reason: "a test".into() });
        }
        Ok(())
    }

    fn sign(&self, key: &str, valid: Duration, terms: Option<PutTerms>) {
        self.links.lock().unwrap().push(SignedLink { key: key.to_owned(), valid, terms });
    }
}

#[async_trait::async_trait]
impl Store for WatchedStore {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        self.touch(key)?;
        self.inner.get(key).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.touch(key)?;
        self.inner.head(key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        self.touch(key)?;
        self.inner.put(key, bytes, condition).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.touch(key)?;
        self.inner.delete(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, StoreError> {
        self.touch(prefix)?;
        self.inner.list(prefix, after, limit).await
    }

    async fn step_back(&self, wait: Duration) {
        self.inner.step_back(wait).await;
    }

    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<String, StoreError> {
        self.touch(key)?;
        self.sign(key, valid, None);
        let link = self.inner.presign_get(key, valid, name).await?;
        Ok(format!("{link}&X-Amz-Signature={SIGNATURE}"))
    }

    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        self.touch(key)?;
        self.sign(key, terms.valid, Some(terms.clone()));
        let mut link = self.inner.presign_put(key, terms).await?;
        link.url = format!("{}&X-Amz-Signature={SIGNATURE}", link.url);
        Ok(link)
    }
}
