//! The object store: whole objects under keys, with the conditional puts that compare-and-swap needs.
//!
//! [`S3Store`] is the real one, [`MemoryStore`] the one for tests, and [`FailingStore`] wraps either to inject faults. All pass
//! [`conformance`], which states the contract as executable checks; those with real links pass [`link_conformance`], too.
//!
//! The contract in short: reads see the latest completed put of that key; of several conditional puts that race, exactly one wins; an entity
//! tag changes whenever the content does. A put that answers [`StoreError::Unavailable`] may or may not have landed; one that answers
//! [`StoreError::PreconditionFailed`] has not.

pub(crate) mod back_off;
#[cfg(any(test, feature = "test-support"))]
pub mod conformance;
#[cfg(any(test, feature = "test-support"))]
mod failing;
#[cfg(any(test, feature = "test-support"))]
pub mod link_conformance;
mod memory;
#[cfg(feature = "aws")]
mod s3;

#[cfg(any(test, feature = "test-support"))]
pub use failing::{FailingStore, Fault, FaultPlan};
pub use memory::MemoryStore;
#[cfg(feature = "aws")]
pub use s3::S3Store;

use bytes::Bytes;
use protocol::api::PresignedPut;
use std::time::Duration;

/// An object's content and its entity tag. Its `Debug` shows the content's size alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// Content.
    pub bytes: Bytes,
    /// Opaque; names this content for [`PutCondition::IfMatch`].
    pub etag: String,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("bytes", &self.bytes.len()).field("etag", &self.etag).finish()
    }
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Size.
    pub bytes: u64,
    /// See [`Object::etag`].
    pub etag: String,
}

/// When a put may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutCondition {
    /// In any case.
    Always,
    /// Only if there is no object under the key.
    IfAbsent,
    /// Only if the object there has this entity tag.
    IfMatch(String),
}

/// One page of keys, in lexicographic order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The keys.
    pub keys: Vec<String>,
    /// True when more follow.
    pub more: bool,
}

/// What a presigned PUT allows: exactly this content, once, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTerms {
    /// Size that must be sent.
    pub bytes: u64,
    /// SHA-256 that the content must have, in hexadecimal.
    pub sha256: String,
    /// Media type that must be sent.
    pub content_type: String,
    /// How long the link works.
    pub valid: Duration,
    /// When that begins, in Unix seconds.
    pub now: u64,
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object. A retry cannot help.
    #[error("there is no object `{key}`")]
    NotFound {
        /// Its key.
        key: String,
    },
    /// The condition of a put does not hold, or another conditional put of the key was under way. Nothing was written.
    #[error("the object was changed by somebody else")]
    PreconditionFailed,
    /// The store could not be reached, refused or broke off; whether a put landed is unknown. A retry may help.
    #[error("the object store could not {operation}: {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// A word for programs, never content.
        reason: String,
    },
    /// The terms of a presigned link make no sense.
    #[error("a link cannot be signed: {reason}")]
    Unsignable {
        /// What is wrong.
        reason: &'static str,
    },
}

/// Objects under keys. See the module's head for the contract.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Content of the object.
    async fn get(&self, key: &str) -> Result<Object, StoreError>;

    /// Size and entity tag of the object.
    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError>;

    /// Writes the whole object if `condition` holds, and returns its new entity tag.
    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError>;

    /// Removes the object; removing what is not there is fine.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Removes all objects that begin with `prefix`, with all their versions where the store keeps any; of `keep` the present version stays.
    /// Returns how many versions were removed.
    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<u64, StoreError> {
        self.purge_unversioned(prefix, keep).await
    }

    /// [`purge`](Self::purge) where every object has one version.
    async fn purge_unversioned(&self, prefix: &str, keep: Option<&str>) -> Result<u64, StoreError> {
        let (mut removed, mut after) = (0, None);
        loop {
            let page = self.list(prefix, after.as_deref(), 1000).await?;
            for key in page.keys.iter().filter(|key| Some(key.as_str()) != keep) {
                self.delete(key).await?;
                removed += 1;
            }
            if !page.more {
                return Ok(removed);
            }
            after = page.keys.last().cloned();
        }
    }

    /// At most `limit` keys (1 to 1000) that begin with `prefix` and come after `start_after`.
    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, StoreError>;

    /// All objects that begin with `prefix` and their sizes, in order.
    async fn sizes(&self, prefix: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.list(prefix, after.as_deref(), 1000).await?;
            for key in &page.keys {
                match self.head(key).await {
                    Ok(meta) => found.push((key.clone(), meta.bytes)),
                    // Deleted since the listing.
                    Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if !page.more {
                return Ok(found);
            }
            after = page.keys.last().cloned();
        }
    }

    /// A link that reads the object for `valid`; a browser saves it as `download_name`.
    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        download_name: Option<&str>,
    ) -> Result<String, StoreError>;

    /// A link that writes the object once, under `terms` that are part of the signature: whoever has it can neither send more, nor
    /// something else, nor overwrite.
    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError>;

    /// Lets others go first, for `wait` at most, after a conditional put that lost against them. A store in memory has nobody to wait for.
    async fn step_back(&self, _wait: Duration) {}
}

/// The header that makes a browser save a download as `name`. Only plain characters are kept as they are; the rest is percent-encoded (RFC 6266
/// with RFC 5987), so that a name can never break out of the header.
fn attachment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let encoded: String = name
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("attachment; filename*=UTF-8''{encoded}")
}

/// The SHA-256 of the terms as S3 wants it, in base64.
fn checksum_base64(terms: &PutTerms) -> Result<String, StoreError> {
    use base64::Engine;
    let bytes = hex::decode(&terms.sha256).ok().filter(|bytes| bytes.len() == 32);
    let bytes = bytes.ok_or(StoreError::Unsignable { reason: "the SHA-256 is not 64 hexadecimal digits" })?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
