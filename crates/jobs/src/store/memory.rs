//! A store in memory, for tests.

use super::{
    Listing, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError, attachment, checksum_base64,
};
use bytes::Bytes;
use protocol::api::PresignedPut;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Objects in a map. Entity tags come from the content alone, as S3's do for single-part puts. Links are well-formed but lead nowhere.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        // Every change is one map operation, so a panic elsewhere leaves the map whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Sha256::digest(bytes)))
}

fn not_found(key: &str) -> StoreError {
    StoreError::NotFound { key: key.to_owned() }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        let bytes = self.lock().get(key).cloned().ok_or_else(|| not_found(key))?;
        Ok(Object { etag: etag(&bytes), bytes })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let object = self.get(key).await?;
        Ok(ObjectMeta { bytes: object.bytes.len() as u64, etag: object.etag })
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        let mut objects = self.lock();
        let present = objects.get(key);
        let holds = match condition {
            PutCondition::Always => true,
            PutCondition::IfAbsent => present.is_none(),
            PutCondition::IfMatch(wanted) => present.is_some_and(|bytes| etag(bytes) == wanted),
        };
        if !holds {
            return Err(StoreError::PreconditionFailed);
        }
        let tag = etag(&bytes);
        objects.insert(key.to_owned(), bytes);
        Ok(tag)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.lock().remove(key);
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, StoreError> {
        let objects = self.lock();
        let from = match start_after {
            Some(key) if key >= prefix => Bound::Excluded(key.to_owned()),
            _ => Bound::Included(prefix.to_owned()),
        };
        let mut matching = objects.range((from, Bound::Unbounded)).map(|(key, _)| key);
        let mut matching = matching.by_ref().take_while(|key| key.starts_with(prefix)).cloned();
        let keys = matching.by_ref().take(limit).collect();
        Ok(Listing { keys, more: matching.next().is_some() })
    }

    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        download_name: Option<&str>,
    ) -> Result<String, StoreError> {
        let disposition = download_name.map(attachment).unwrap_or_default();
        Ok(format!("memory:///{key}?valid={}&response-content-disposition={disposition}", valid.as_secs()))
    }

    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        let headers = [
            ("content-type", terms.content_type.clone()),
            ("if-none-match", "*".to_owned()),
            ("x-amz-checksum-sha256", checksum_base64(terms)?),
        ];
        Ok(PresignedPut {
            method: "PUT".into(),
            url: format!("memory:///{key}?valid={}", terms.valid.as_secs()),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            expires_at: terms.now + terms.valid.as_secs(),
        })
    }
}
