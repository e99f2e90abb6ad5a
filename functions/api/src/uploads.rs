//! `/v1/uploads`: a file in parts, for clients that can send no more than a request's body at a time.
//!
//! ```text
//! create ─▶ pending ──parts──▶ complete ─▶ completed (a file)
//!              └────cancel───▶ cancelled
//! ```
//! Every step may be repeated: parts by the caller's `Idempotency-Key`, completion by a file name derived from the upload's.

use crate::auth::Tenant;
use crate::error::{Answer, Failure};
use crate::extract::{Form, IdText, bytes, json_object, typed};
use crate::file_store::{FileStore, all_keys, check_purpose, check_size, file_object, read_optional};
use crate::jobs_api::idempotency_key;
use crate::{ApiState, draw};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use jobs::{PutCondition, StoreError};
use md5::{Digest, Md5};
use protocol::api::{CompleteUpload, CreateUpload, MAX_BODY_BYTES, MAX_FILE_BYTES, PartObject, UploadObject};
use protocol::error::ApiError;
use protocol::id::{FileId, Filename, PartId, TenantId, UploadId};
use protocol::keys;

/// An upload is open for an hour, as on OpenAI.
const OPEN_SECONDS: u64 = 3600;

/// Parts kept of one upload at most, so that a tenant cannot fill the store through one: many times what the largest file needs.
const MAX_PARTS: u64 = 8 * MAX_FILE_BYTES / MAX_BODY_BYTES;

/// `POST /v1/uploads`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    tenant: Tenant,
    request: Request,
) -> Answer<Json<UploadObject>> {
    let wanted: CreateUpload = typed(json_object(&bytes(request).await?)?)?;
    check_purpose(Some(&wanted.purpose))?;
    check_size(wanted.bytes)?;
    FileStore { state: &state, tenant: &tenant.0 }.check_room(wanted.bytes).await?;
    let now = state.clock.now();
    let upload = UploadObject {
        id: UploadId::from_entropy(draw(&*state.entropy)),
        object: "upload".into(),
        bytes: wanted.bytes,
        created_at: now,
        expires_at: now + OPEN_SECONDS,
        filename: Filename::parse(&wanted.filename)?,
        purpose: wanted.purpose,
        status: "pending".into(),
        file: None,
    };
    put(&state, &tenant.0, &upload, PutCondition::IfAbsent).await?;
    Ok(Json(upload))
}

/// `POST /v1/uploads/{id}/parts`: a form with the field `data`.
pub(crate) async fn add_part(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
    headers: HeaderMap,
    request: Request,
) -> Answer<Json<PartObject>> {
    let (upload, _) = load(&state, &tenant.0, &id).await?;
    check_open(&state, &upload)?;
    let form = Form::read(request, "data").await?;
    let missing = || Failure::invalid("missing_data", Some("data"), "The form has no field `data`.");
    let (_, content) = form.file.ok_or_else(missing)?;
    check_size(content.len() as u64)?;
    if part_keys(&state, &tenant.0, &upload.id).await?.len() as u64 >= MAX_PARTS {
        return Err(Failure::invalid(
            "too_many_parts",
            None,
            format!("An upload takes at most {MAX_PARTS} parts."),
        ));
    }
    let part = match idempotency_key(&headers)? {
        Some(key) => PartId::derived(&[tenant.0.as_str(), upload.id.as_str(), key]),
        None => PartId::from_entropy(draw(&*state.entropy)),
    };
    state.store.put(&keys::upload_part(&tenant.0, &upload.id, &part), content, PutCondition::Always).await?;
    let created_at = state.clock.now();
    Ok(Json(PartObject { id: part, object: "upload.part".into(), created_at, upload_id: upload.id }))
}

/// `POST /v1/uploads/{id}/complete`: joins the parts, in the order named, into a file.
pub(crate) async fn complete(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
    request: Request,
) -> Answer<Json<UploadObject>> {
    let mut fields = json_object(&bytes(request).await?)?;
    let md5 = fields.remove("md5").filter(|value| !value.is_null());
    let wanted: CompleteUpload = typed(fields)?;
    let (mut upload, etag) = load(&state, &tenant.0, &id).await?;
    if upload.status == "completed" {
        return Ok(Json(upload));
    }
    check_open(&state, &upload)?;
    let content = join(&state, &tenant.0, &upload, &wanted.part_ids).await?;
    if md5.is_some_and(|declared| declared.as_str() != Some(&hex::encode(Md5::digest(&content)))) {
        return Err(Failure::invalid(
            "checksum_mismatch",
            Some("md5"),
            "`md5` is not that of the parts in this order.",
        ));
    }
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let file = FileId::derived(&[tenant.0.as_str(), upload.id.as_str()]);
    let meta = files.put_file(file, upload.filename.clone(), content).await?;
    upload.file = Some(file_object(meta, true));
    upload.status = "completed".into();
    put(&state, &tenant.0, &upload, PutCondition::IfMatch(etag)).await?;
    remove_parts(&state, &tenant.0, &upload.id).await?;
    Ok(Json(upload))
}

/// `POST /v1/uploads/{id}/cancel`: forgets the parts.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<UploadObject>> {
    let (mut upload, etag) = load(&state, &tenant.0, &id).await?;
    if upload.status == "completed" {
        return Err(ApiError::conflict(
            "upload_completed",
            "The upload is completed. Delete its file instead.",
        )
        .into());
    }
    if upload.status == "pending" {
        upload.status = "cancelled".into();
        put(&state, &tenant.0, &upload, PutCondition::IfMatch(etag)).await?;
    }
    remove_parts(&state, &tenant.0, &upload.id).await?;
    Ok(Json(upload))
}

async fn load(state: &ApiState, tenant: &TenantId, text: &str) -> Answer<(UploadObject, String)> {
    let missing = || Failure::not_found("upload", text);
    let id = UploadId::parse(text).map_err(|_| missing())?;
    match state.store.get(&keys::upload_meta(tenant, &id)).await {
        Ok(object) => Ok((serde_json::from_slice(&object.bytes)?, object.etag)),
        Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

async fn put(
    state: &ApiState,
    tenant: &TenantId,
    upload: &UploadObject,
    condition: PutCondition,
) -> Answer<()> {
    let body = Bytes::from(serde_json::to_vec(upload)?);
    match state.store.put(&keys::upload_meta(tenant, &upload.id), body, condition).await {
        Ok(_) => Ok(()),
        Err(StoreError::PreconditionFailed) => {
            Err(ApiError::conflict("upload_changed", "The upload was changed by another request. Try again.")
                .into())
        }
        Err(error) => Err(error.into()),
    }
}

fn check_open(state: &ApiState, upload: &UploadObject) -> Answer<()> {
    if upload.status != "pending" {
        let message = format!("The upload is {}; it takes no parts any more.", upload.status);
        return Err(ApiError::conflict("upload_closed", message).into());
    }
    if state.clock.now() >= upload.expires_at {
        return Err(Failure::invalid("upload_expired", None, "The upload has expired. Create a new one."));
    }
    Ok(())
}

async fn part_keys(state: &ApiState, tenant: &TenantId, upload: &UploadId) -> Answer<Vec<String>> {
    let meta = keys::upload_meta(tenant, upload);
    let prefix = meta.trim_end_matches("meta.json");
    let keys = all_keys(&*state.store, prefix).await?;
    Ok(keys.into_iter().filter(|key| *key != meta).collect())
}

async fn remove_parts(state: &ApiState, tenant: &TenantId, upload: &UploadId) -> Answer<()> {
    for key in part_keys(state, tenant, upload).await? {
        state.store.delete(&key).await?;
    }
    Ok(())
}

async fn join(state: &ApiState, tenant: &TenantId, upload: &UploadObject, parts: &[PartId]) -> Answer<Bytes> {
    if parts.len() as u64 > MAX_PARTS || (1..parts.len()).any(|i| parts[..i].contains(&parts[i])) {
        return Err(Failure::invalid(
            "invalid_parts",
            Some("part_ids"),
            "`part_ids` names a part twice, or too many.",
        ));
    }
    let mut content = BytesMut::new();
    for part in parts {
        let stored = read_optional(&*state.store, &keys::upload_part(tenant, &upload.id, part)).await?;
        content.extend_from_slice(&stored.ok_or_else(|| Failure::not_found("part", part.as_str()))?);
        // Checked on the way, so that no list of parts makes the service hold more than one file.
        if content.len() as u64 > upload.bytes {
            break;
        }
    }
    if content.len() as u64 != upload.bytes {
        let message =
            format!("The parts together do not have the {} bytes that were declared.", upload.bytes);
        return Err(Failure::invalid("size_mismatch", Some("part_ids"), message));
    }
    Ok(content.freeze())
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
