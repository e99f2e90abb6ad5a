//! `/v1/files`: small files in the request, larger ones by a presigned PUT, downloads by a presigned GET.

use crate::auth::Tenant;
use crate::error::{Answer, Failure};
use crate::extract::{Form, IdText, QueryPairs, bytes, has_type, json_object, typed};
use crate::file_store::{FileStore, LINK_VALID, READS_AT_A_TIME, check_purpose, check_size, file_object};
use crate::paging::Page;
use crate::{ApiState, draw};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use futures::{StreamExt, TryStreamExt};
use jobs::PutTerms;
use protocol::api::{CreateFile, Deleted, FileObject, FileTicket, List};
use protocol::error::ApiError;
use protocol::id::{FileId, Filename};
use protocol::keys;

/// The media type of what is uploaded by presigned PUT: perturbed tokens or text, opaque to the store.
const CONTENT_TYPE: &str = "application/octet-stream";

/// `POST /v1/files`: a multipart form with the content, or JSON that asks where to send it.
pub(crate) async fn create(
    State(state): State<ApiState>,
    tenant: Tenant,
    request: Request,
) -> Answer<Response> {
    let files = FileStore { state: &state, tenant: &tenant.0 };
    if has_type(&request, "application/json") {
        let wanted = typed(json_object(&bytes(request).await?)?)?;
        return Ok(Json(create_ticket(&files, wanted).await?).into_response());
    }
    if has_type(&request, "multipart/form-data") {
        return Ok(Json(create_from_form(&files, Form::read(request, "file").await?).await?).into_response());
    }
    let message = "Send `multipart/form-data` with `file` and `purpose`, or `application/json` to get a presigned link.";
    Err(ApiError { status: 415, message: message.into(), param: None, code: "unsupported_media_type" }.into())
}

async fn create_from_form(files: &FileStore<'_>, form: Form) -> Answer<FileObject> {
    check_purpose(form.fields.get("purpose").map(String::as_str))?;
    if form.fields.keys().any(|name| name.starts_with("expires_after")) {
        let message = "Files do not expire by themselves here. Leave `expires_after` out and delete the file when it is no longer needed.";
        return Err(Failure::invalid("unsupported_parameter", Some("expires_after"), message));
    }
    let missing = || Failure::invalid("missing_file", Some("file"), "The form has no field `file`.");
    let (filename, content) = form.file.ok_or_else(missing)?;
    check_size(content.len() as u64)?;
    files.check_room(content.len() as u64).await?;
    let filename = Filename::parse(filename.as_deref().unwrap_or("upload"))?;
    let id = FileId::from_entropy(draw(&*files.state.entropy));
    let meta = files.put_file(id, filename, content).await?;
    Ok(file_object(meta, true))
}

async fn create_ticket(files: &FileStore<'_>, wanted: CreateFile) -> Answer<FileTicket> {
    check_purpose(Some(&wanted.purpose))?;
    check_size(wanted.bytes)?;
    files.check_room(wanted.bytes).await?;
    let filename = Filename::parse(&wanted.filename)?;
    let sha256 = wanted.sha256.to_ascii_lowercase();
    if hex::decode(&sha256).map_or(true, |digest| digest.len() != 32) {
        let message = "`sha256` must be the content's SHA-256 as 64 hexadecimal digits.";
        return Err(Failure::invalid("invalid_value", Some("sha256"), message));
    }
    let id = FileId::from_entropy(draw(&*files.state.entropy));
    let meta = files.new_meta(id, filename, wanted.bytes, sha256.clone());
    let terms = PutTerms {
        bytes: meta.bytes,
        sha256,
        content_type: CONTENT_TYPE.into(),
        valid: LINK_VALID,
        now: files.state.clock.now(),
    };
    let upload = files.state.store.presign_put(&meta.content_key, &terms).await?;
    files.put_meta(&meta).await?;
    Ok(FileTicket { file: file_object(meta, false), upload })
}

/// `GET /v1/files`: newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    tenant: Tenant,
    query: QueryPairs,
) -> Answer<Json<List<FileObject>>> {
    let page = Page::from_query(&query, 10_000, 10_000)?;
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let mut metas = files.all().await?;
    if let Some(purpose) = query.get("purpose") {
        metas.retain(|meta| meta.purpose == purpose);
    }
    // Names break ties, so that pages never overlap.
    metas.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    if page.ascending {
        metas.reverse();
    }
    let cut = page.cut(metas, |meta| meta.id.as_str())?;
    let shown = futures::stream::iter(cut.data).map(|meta| files.object(meta));
    let data = shown.buffered(READS_AT_A_TIME).try_collect().await?;
    Ok(Json(List {
        object: cut.object,
        data,
        first_id: cut.first_id,
        last_id: cut.last_id,
        has_more: cut.has_more,
    }))
}

/// `GET /v1/files/{id}`: with a link to download the content, once it is there.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<FileObject>> {
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let meta = files.load(&id).await?;
    if !files.has_arrived(&meta).await? {
        return Ok(Json(file_object(meta, false)));
    }
    let link = state.store.presign_get(&meta.content_key, LINK_VALID, Some(meta.filename.as_str())).await?;
    Ok(Json(FileObject { download_url: Some(link), ..file_object(meta, true) }))
}

/// `GET /v1/files/{id}/content`: a redirect to a presigned link, since content may be larger than a function may answer.
pub(crate) async fn content(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Redirect> {
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let meta = files.load(&id).await?;
    if !files.has_arrived(&meta).await? {
        return Err(ApiError::conflict("file_pending", "The file's content has not arrived yet.").into());
    }
    let link = state.store.presign_get(&meta.content_key, LINK_VALID, Some(meta.filename.as_str())).await?;
    Ok(Redirect::temporary(&link))
}

/// `DELETE /v1/files/{id}`: refused while a job that is not finished trains on it.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<Deleted>> {
    let files = FileStore { state: &state, tenant: &tenant.0 };
    let meta = files.load(&id).await?;
    let jobs = crate::jobs_api::all(&state, &tenant.0).await?;
    if let Some(job) = jobs.iter().find(|job| !job.status.is_final() && job.spec.training_file == meta.id) {
        let message =
            format!("Job `{}` trains on this file. Cancel it first, or wait until it is finished.", job.id);
        return Err(ApiError::conflict("file_in_use", message).into());
    }
    // Content first: should the second removal fail, the file is still listed and can be deleted again.
    state.store.delete(&meta.content_key).await?;
    state.store.delete(&keys::file_meta(&tenant.0, &meta.id)).await?;
    Ok(Json(Deleted { id: meta.id, object: "file".into(), deleted: true }))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
