//! The service's key for certificates, kept in the object store.
//!
//! The first worker that needs it makes it; whoever comes at the same time finds that one. Its public half lies beside it for all to read.
//! Whoever replaces it makes every certificate signed before unverifiable by the published key, so nothing here ever does.

use bytes::Bytes;
use jobs::{PutCondition, Store, StoreError};
use protocol::keys;
use protocol::signature::CertificateKey;
use zeroize::Zeroizing;

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SigningError {
    /// The stored key is none.
    #[error("the stored signing key is damaged: restore `{}` from a backup", keys::SIGNING_KEY)]
    Damaged,
    /// The object store failed. A retry may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key in `store`, or a new one made of `entropy`, 32 bytes that the operating system drew.
///
/// # Errors
/// [`SigningError`].
pub async fn load_or_create(store: &dyn Store, entropy: [u8; 32]) -> Result<CertificateKey, SigningError> {
    let key = match load(store).await? {
        Some(key) => key,
        None => create(store, entropy).await?,
    };
    if !exists(store, keys::VERIFYING_KEY).await? {
        // Everybody writes the same.
        let public = Bytes::from(key.public_key());
        store.put(keys::VERIFYING_KEY, public, PutCondition::Always).await?;
    }
    Ok(key)
}

async fn create(store: &dyn Store, entropy: [u8; 32]) -> Result<CertificateKey, SigningError> {
    let key = CertificateKey::from_bytes(entropy);
    let text = Bytes::copy_from_slice(key.to_hex().as_bytes());
    match store.put(keys::SIGNING_KEY, text, PutCondition::IfAbsent).await {
        Ok(_) => Ok(key),
        // Another worker's, or our own whose first answer was lost.
        Err(StoreError::PreconditionFailed) => load(store).await?.ok_or(SigningError::Damaged),
        Err(error) => Err(error.into()),
    }
}

async fn load(store: &dyn Store) -> Result<Option<CertificateKey>, SigningError> {
    match store.get(keys::SIGNING_KEY).await {
        Ok(object) => {
            let text = Zeroizing::new(String::from_utf8_lossy(&object.bytes).into_owned());
            CertificateKey::from_hex(&text).map(Some).map_err(|_| SigningError::Damaged)
        }
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn exists(store: &dyn Store, key: &str) -> Result<bool, SigningError> {
    match store.head(key).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
