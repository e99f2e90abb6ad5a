//! `/v1/files/{id}/privacy`: what all jobs on a file have released; `/v1/privacy/key`: whose signature certificates carry.

use crate::ApiState;
use crate::auth::Tenant;
use crate::error::{Answer, Failure};
use crate::extract::IdText;
use crate::file_store::{FileStore, read_optional};
use axum::Json;
use axum::extract::State;
use protocol::api::{DatasetObject, KeyObject};
use protocol::keys;

/// `GET /v1/files/{id}/privacy`: the account of the file's content, shared by all files of the same content.
pub(crate) async fn of_file(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<DatasetObject>> {
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let meta = files.load(&id).await?;
    let ledger = state.ledgers.reconcile(&tenant.0, &meta.sha256, state.clock.now()).await?;
    Ok(Json(DatasetObject::new(meta.id, meta.sha256, ledger.as_ref(), state.config.dataset_epsilon)))
}

/// `GET /v1/privacy/key`: the public half of the key that signs certificates.
pub(crate) async fn key(State(state): State<ApiState>, _: Tenant) -> Answer<Json<KeyObject>> {
    let stored = read_optional(&*state.store, keys::VERIFYING_KEY).await?;
    let text = stored.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let key = text.ok_or_else(|| Failure::not_found("key", "certificates: none was signed yet"))?;
    Ok(Json(KeyObject::new(key.trim().to_owned())))
}

#[cfg(test)]
#[path = "privacy_tests.rs"]
mod tests;
