//! Making API keys. Only a key's hash is stored; the key itself is shown once, to whoever it is for.

use crate::error::LocalError;
use api_function::{Entropy, KEY_PREFIX, draw, key_hash};
use bytes::Bytes;
use jobs::{Clock, PutCondition, Store};
use protocol::api::ApiKeyEntry;
use protocol::id::TenantId;
use protocol::keys;

/// Makes a key for `tenant` and stores its hash. A key has 192 random bits.
///
/// # Errors
/// [`LocalError::Store`] when the hash cannot be stored; the key is then not valid.
pub async fn create_api_key(
    store: &dyn Store,
    tenant: &TenantId,
    entropy: &dyn Entropy,
    clock: &dyn Clock,
) -> Result<String, LocalError> {
    let key = format!("{KEY_PREFIX}{}", hex::encode(draw::<24>(entropy)));
    register_api_key(store, tenant, &key, clock).await?;
    Ok(key)
}

/// Makes `key` valid for `tenant`; doing so again changes nothing that matters.
///
/// # Errors
/// [`LocalError::Store`].
pub(crate) async fn register_api_key(
    store: &dyn Store,
    tenant: &TenantId,
    key: &str,
    clock: &dyn Clock,
) -> Result<(), LocalError> {
    let entry = ApiKeyEntry { tenant: tenant.clone(), created_at: clock.now() };
    // A struct of a string and a number always serialises.
    let body = Bytes::from(serde_json::to_vec(&entry).expect("an API key's entry is plain data"));
    store.put(&keys::api_key(&key_hash(key)), body, PutCondition::Always).await?;
    Ok(())
}

#[cfg(test)]
#[path = "api_keys_tests.rs"]
mod tests;
