//! API keys from the operator's side: made, listed, revoked. Only a key's hash is stored; the key itself is shown once, to whoever it is for.
//!
//! A tenant may have several keys. To rotate one, make a new key, move the callers over, and revoke the old one; or let the old one expire.
//!
//! Invariant: what is stored of a key is its SHA-256, as a name; revoking cannot be undone, and creating never touches another key's entry.

use crate::{Entropy, KEY_PREFIX, draw, key_hash};
use bytes::Bytes;
use jobs::{Clock, PutCondition, Store, StoreError};
use protocol::api::ApiKeyEntry;
use protocol::id::TenantId;
use protocol::keys;
use std::time::Duration;

/// Hexadecimal digits of a key's hash that a list shows and a revocation names: 48 bits, so that two keys never share them by chance.
pub const SHOWN_DIGITS: usize = 12;

/// A stored key, by its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeyInfo {
    /// SHA-256 of the key in hexadecimal.
    pub hash: String,
    /// Whose it is, and until when.
    pub entry: ApiKeyEntry,
}

impl ApiKeyInfo {
    /// The hash's first [`SHOWN_DIGITS`] digits: the key's name for people.
    pub fn shown(&self) -> &str {
        self.hash.get(..SHOWN_DIGITS).unwrap_or(&self.hash)
    }
}

/// Why keys could not be made, listed or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object under `keys/` cannot be read.
    #[error("`{object}` is no key's entry; remove it, which revokes that key")]
    Damaged {
        /// The object's key.
        object: String,
    },
    /// The name does not lead to one key.
    #[error(
        "`{name}` names {found} keys; give at least {SHOWN_DIGITS} digits of a hash that `key list` shows"
    )]
    NotOne {
        /// What was asked for, cut to the length of a hash.
        name: String,
        /// How many keys it names.
        found: usize,
    },
    /// The entry changed while it was being revoked.
    #[error("the key was changed by somebody else meanwhile; list the keys and try again")]
    Changed,
}

/// Makes a key for `tenant`, stores its hash and returns the key, which has 192 random bits. With `valid_for` it ends that long after now, in
/// whole seconds.
///
/// # Errors
/// [`ApiKeyError::Store`] when the hash cannot be stored; the key is then not valid.
pub async fn create_api_key(
    store: &dyn Store,
    tenant: &TenantId,
    valid_for: Option<Duration>,
    entropy: &dyn Entropy,
    clock: &dyn Clock,
) -> Result<String, ApiKeyError> {
    let key = format!("{KEY_PREFIX}{}", hex::encode(draw::<24>(entropy)));
    let now = clock.now();
    let expires_at = valid_for.map(|valid| now.saturating_add(valid.as_secs()));
    let entry = ApiKeyEntry { expires_at, ..ApiKeyEntry::new(tenant.clone(), now) };
    write(store, &key_hash(&key), &entry, PutCondition::IfAbsent).await?;
    Ok(key)
}

/// Makes a key that exists already known to the store, and says whether it opens the API. An entry that is there stays as it is, so that a
/// revoked key stays revoked.
///
/// # Errors
/// [`ApiKeyError::Store`] and [`ApiKeyError::Damaged`].
pub async fn register_api_key(
    store: &dyn Store,
    tenant: &TenantId,
    key: &str,
    clock: &dyn Clock,
) -> Result<bool, ApiKeyError> {
    let (hash, now) = (key_hash(key), clock.now());
    match write(store, &hash, &ApiKeyEntry::new(tenant.clone(), now), PutCondition::IfAbsent).await {
        Ok(()) => Ok(true),
        Err(StoreError::PreconditionFailed) => {
            let (entry, _) = read(store, &keys::api_key(&hash)).await?;
            Ok(entry.is_valid(now) && entry.tenant == *tenant)
        }
        Err(error) => Err(error.into()),
    }
}

/// All keys, by tenant and age. Expired and revoked ones, too.
///
/// # Errors
/// [`ApiKeyError::Store`] and [`ApiKeyError::Damaged`].
pub async fn list_api_keys(store: &dyn Store) -> Result<Vec<ApiKeyInfo>, ApiKeyError> {
    let mut found = Vec::new();
    for hash in hashes(store, "").await? {
        match read(store, &keys::api_key(&hash)).await {
            Ok((entry, _)) => found.push(ApiKeyInfo { hash, entry }),
            // Removed since the listing.
            Err(ApiKeyError::Store(StoreError::NotFound { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|a, b| {
        (&a.entry.tenant, a.entry.created_at, &a.hash).cmp(&(&b.entry.tenant, b.entry.created_at, &b.hash))
    });
    Ok(found)
}

/// Revokes the key whose hash begins with `name`, at least [`SHOWN_DIGITS`] digits; doing so again changes nothing. The API refuses it once its
/// `key_cache_seconds` have passed.
///
/// # Errors
/// [`ApiKeyError::NotOne`] unless exactly one key is named, [`ApiKeyError::Changed`], [`ApiKeyError::Store`] and [`ApiKeyError::Damaged`].
pub async fn revoke_api_key(
    store: &dyn Store,
    name: &str,
    clock: &dyn Clock,
) -> Result<ApiKeyInfo, ApiKeyError> {
    let hash = only_hash(store, name).await?;
    let (mut entry, etag) = read(store, &keys::api_key(&hash)).await?;
    if entry.revoked_at.is_none() {
        entry.revoked_at = Some(clock.now());
        match write(store, &hash, &entry, PutCondition::IfMatch(etag)).await {
            Err(StoreError::PreconditionFailed) => return Err(ApiKeyError::Changed),
            answer => answer?,
        }
    }
    Ok(ApiKeyInfo { hash, entry })
}

/// The one hash that begins with `name`.
async fn only_hash(store: &dyn Store, name: &str) -> Result<String, ApiKeyError> {
    let long_enough = name.len() >= SHOWN_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = if long_enough { hashes(store, &name.to_ascii_lowercase()).await? } else { Vec::new() };
    match (found.pop(), found.len()) {
        (Some(hash), 0) => Ok(hash),
        // Should somebody give the key itself, the message must not repeat it whole.
        (last, others) => Err(ApiKeyError::NotOne {
            name: name.chars().take(SHOWN_DIGITS).collect(),
            found: others + usize::from(last.is_some()),
        }),
    }
}

/// Hashes of all keys that begin with `digits`.
async fn hashes(store: &dyn Store, digits: &str) -> Result<Vec<String>, ApiKeyError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.list(&format!("{}{digits}", keys::API_KEYS_PREFIX), after.as_deref(), 1000).await?;
        let hash =
            |key: &String| key.strip_prefix(keys::API_KEYS_PREFIX)?.strip_suffix(".json").map(str::to_owned);
        found.extend(page.keys.iter().filter_map(hash));
        match page.keys.last().filter(|_| page.more) {
            Some(last) => after = Some(last.clone()),
            None => return Ok(found),
        }
    }
}

async fn read(store: &dyn Store, object: &str) -> Result<(ApiKeyEntry, String), ApiKeyError> {
    let stored = store.get(object).await?;
    let entry = serde_json::from_slice(&stored.bytes);
    let entry = entry.map_err(|_| ApiKeyError::Damaged { object: object.to_owned() })?;
    Ok((entry, stored.etag))
}

async fn write(
    store: &dyn Store,
    hash: &str,
    entry: &ApiKeyEntry,
    condition: PutCondition,
) -> Result<(), StoreError> {
    // A struct of strings and numbers always serialises.
    let body = Bytes::from(serde_json::to_vec(entry).expect("an API key's entry is plain data"));
    store.put(&keys::api_key(hash), body, condition).await.map(drop)
}

#[cfg(test)]
#[path = "api_keys_tests.rs"]
mod tests;
