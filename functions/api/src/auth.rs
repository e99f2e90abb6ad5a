//! Who is calling: an API key's hash names a tenant, and the tenant is all that handlers ever see.
//!
//! Keys are looked up by their SHA-256, so a leaked bucket holds none, and nothing compares two keys: what the look-up compares is the hash of the
//! presented key with hashes of real ones. Its time depends on the hash alone, which a caller can neither choose byte by byte nor learn a key
//! from. [`PresentedKey`] has no equality, so a direct comparison would not compile.
//!
//! Invariant: the tenant comes from the key alone, never from a path, query or body; behind [`require_key`] the key is gone from the request.
//!
//! Invariant: a revoked key works for at most `key_cache_seconds` more, one that expires not a second longer.

use crate::ApiState;
use crate::error::{Answer, Failure};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use jobs::StoreError;
use protocol::api::ApiKeyEntry;
use protocol::error::ApiError;
use protocol::id::TenantId;
use protocol::keys;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How every key begins, so that a leaked one can be found by scanners.
pub const KEY_PREFIX: &str = "dpft-";

/// Longer than any key we hand out; bounds what is hashed.
const MAX_KEY_BYTES: usize = 200;

/// Known keys kept at a time; far more than one process serves, and under a megabyte.
const MAX_CACHED_KEYS: usize = 4096;

/// The caller. Only [`require_key`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct Tenant(pub(crate) TenantId);

impl FromRequestParts<ApiState> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Answer<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::unauthorized().into())
    }
}

/// Lets a request with a known key pass, with its [`Tenant`] attached.
pub(crate) async fn require_key(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Answer<Response> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = header.and_then(PresentedKey::from_header).ok_or_else(ApiError::unauthorized)?;
    let tenant = tenant_of(&state, &key).await?;
    // No handler, and nothing that prints a request, has any use for it.
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(Tenant(tenant));
    Ok(next.run(request).await)
}

/// A key as a caller sent it. It can be hashed and nothing else: no equality, no `Debug`.
struct PresentedKey<'a>(&'a str);

impl<'a> PresentedKey<'a> {
    fn from_header(header: &'a str) -> Option<Self> {
        let (scheme, key) = header.split_once(' ')?;
        let key = key.trim();
        let plausible = key.starts_with(KEY_PREFIX) && key.len() <= MAX_KEY_BYTES;
        (scheme.eq_ignore_ascii_case("bearer") && plausible).then_some(Self(key))
    }

    fn hash(&self) -> String {
        key_hash(self.0)
    }
}

/// SHA-256 of an API key in hexadecimal: the name it is stored under.
pub fn key_hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

async fn tenant_of(state: &ApiState, key: &PresentedKey<'_>) -> Answer<TenantId> {
    let hash = key.hash();
    let now = state.clock.now();
    if let Some(tenant) = state.known_keys.get(&hash, now) {
        return Ok(tenant);
    }
    let stored = match state.store.get(&keys::api_key(&hash)).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Err(ApiError::unauthorized().into()),
        Err(error) => return Err(error.into()),
    };
    let entry: ApiKeyEntry = serde_json::from_slice(&stored.bytes)?;
    if !entry.is_valid(now) {
        return Err(ApiError::unauthorized().into());
    }
    let cached_until = now + state.config.key_cache_seconds;
    let until = entry.expires_at.map_or(cached_until, |end| end.min(cached_until));
    state.known_keys.put(hash, entry.tenant.clone(), until);
    Ok(entry.tenant)
}

/// Keys seen lately, by hash. A removed or revoked key therefore works until its entry here ends.
#[derive(Default)]
pub(crate) struct KnownKeys(Mutex<HashMap<String, (TenantId, u64)>>);

impl KnownKeys {
    fn get(&self, hash: &str, now: u64) -> Option<TenantId> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|(_, until)| now < *until).map(|(tenant, _)| tenant.clone())
    }

    fn put(&self, hash: String, tenant: TenantId, until: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CACHED_KEYS {
            known.clear();
        }
        known.insert(hash, (tenant, until));
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
