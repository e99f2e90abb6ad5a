//! `/v1/fine_tuning/jobs`: creating a job is checking everything that can be checked before a worker starts, then state, then message.
//!
//! A job's privacy plan is made here, once, and charged to its file's account before the job exists: see [`crate::protection`].
//!
//! Invariant: a new job whose message could not be sent is cancelled and its charge given back, or, if its request had an `Idempotency-Key`, waits for
//! the repeated request or the sweep to send it: no job waits for a message that never comes.

use crate::auth::Tenant;
use crate::error::{Answer, Failure};
use crate::extract::{IdText, QueryPairs, bytes, json_object};
use crate::file_store::READS_AT_A_TIME;
use crate::job_request::parse;
use crate::paging::Page;
use crate::training_file::{self, TrainingFile};
use crate::{ApiState, draw, protection};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use dp::SecretSeed;
use futures::{StreamExt, TryStreamExt};
use jobs::{DeletionError, JobStoreError};
use protocol::api::{CheckpointObject, EventObject, JobObject, List};
use protocol::error::ApiError;
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use protocol::receipt::DeletionReceipt;
use protocol::state::{JobSpec, JobState, Status};
use protocol::transition::{Change, Refusal, transition};
use std::time::Duration;

/// The caller's name for a request, the same when it is repeated.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Jobs asked for at once; S3 lists as many keys.
const JOBS_AT_A_TIME: usize = 1000;

/// The longest `Idempotency-Key`, as on other services that take one.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The request's `Idempotency-Key`.
///
/// # Errors
/// 400 when it is empty, too long or not plain text.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Answer<Option<&str>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let valid = |key: &&str| (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len());
    let key = value.to_str().ok().filter(valid).ok_or_else(|| {
        let message = format!("`Idempotency-Key` must be 1 to {MAX_IDEMPOTENCY_KEY} plain characters.");
        Failure::invalid("invalid_header", None, message)
    })?;
    Ok(Some(key))
}

/// `POST /v1/fine_tuning/jobs`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    tenant: Tenant,
    headers: HeaderMap,
    request: Request,
) -> Answer<Json<JobObject>> {
    let key = idempotency_key(&headers)?;
    let id = match key {
        Some(key) => JobId::derived(&[tenant.0.as_str(), key]),
        None => JobId::from_entropy(draw(&*state.entropy)),
    };
    let request = parse(json_object(&bytes(request).await?)?)?;
    let model = crate::models::load(&state, &request.model).await?;
    let file =
        training_file::check(&state, &tenant.0, &request.training_file, &model, &request.dp_lora).await?;
    let spec = request.spec(model.id, file.id.clone());
    let job = match earlier(&state, &tenant.0, &id).await? {
        Some(job) => repeated(&state, job, &spec).await?,
        None => new_job(&state, &tenant.0, id, spec, &file, key.is_some()).await?,
    };
    Ok(Json(JobObject::from_state(&job, state.clock.now())))
}

/// The job that has this name already, if any.
async fn earlier(state: &ApiState, tenant: &TenantId, id: &JobId) -> Answer<Option<JobState>> {
    match state.jobs.load(tenant, id).await {
        Ok(job) => Ok(Some(job.value)),
        Err(JobStoreError::Missing) => Ok(None),
        Err(JobStoreError::Deleted(_)) => Err(Failure::key_of_deleted()),
        Err(error) => Err(error.into()),
    }
}

/// Plans the job, charges it, stores it, and asks for its first slice.
async fn new_job(
    state: &ApiState,
    tenant: &TenantId,
    id: JobId,
    spec: JobSpec,
    file: &TrainingFile,
    repeatable: bool,
) -> Answer<JobState> {
    let (workers, now) = (spec.dp_lora.workers, state.clock.now());
    state.usage.reserve(tenant, &id, workers, state.config.quotas, now).await?;
    let protection = match protection::plan_and_charge(state, tenant, &id, &spec.dp_lora, file).await {
        Ok(protection) => protection,
        // After a failure of ours the job may come to be by a repeated request, or be there already by a rival one.
        Err(failed) if failed.0.status >= 500 => return Err(failed),
        Err(refused) => {
            if let Err(error) = state.usage.release(tenant, &id).await {
                tracing::warn!(job = %id, %error, "the place of a job that was refused could not be given back yet");
            }
            return Err(refused);
        }
    };
    let seed = SecretSeed::from_bytes(draw(&*state.entropy));
    let job = JobState::new(id, tenant.clone(), spec, protection, seed, state.clock.now());
    match state.jobs.create(&job).await {
        Ok(()) => {
            first_message(state, &job, repeatable).await?;
            Ok(job)
        }
        // A second request with the same key was quicker. Both are charged as one, for they have one name.
        Err(JobStoreError::Exists) => {
            let stored = earlier(state, &job.tenant, &job.id).await?.ok_or_else(ApiError::internal)?;
            repeated(state, stored, &job.spec).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks for the first slice of a new job. Should that fail, a job whose request had an `Idempotency-Key` stays: the repeated request, or else the
/// sweep, asks again. One without is cancelled, for its owner would ask for another one; nothing is charged then. It is not deleted: a deletion
/// that lands late would take another job of that name along.
async fn first_message(state: &ApiState, job: &JobState, repeatable: bool) -> Answer<()> {
    let sent = send(state, job).await;
    if sent.is_err() && !repeatable {
        let now = state.clock.now();
        let cancel = |job: &JobState| transition(job, Change::Cancel, now);
        // The message may have been taken after all, and a worker be at it: this stops that worker for good.
        let cancelled = state.jobs.update(&job.tenant, &job.id, cancel).await?.value;
        state.ledgers.settle(&cancelled).await?;
    }
    sent
}

/// The job that an earlier request with the same `Idempotency-Key` made. That request may have ended before it sent the message, so it is sent
/// again; should it be the second one, the job's state makes it harmless.
async fn repeated(state: &ApiState, job: JobState, wanted: &JobSpec) -> Answer<JobState> {
    // Through JSON, as the stored one went: a number may change in its last digit on the way.
    let wanted: JobSpec = serde_json::from_slice(&serde_json::to_vec(wanted)?)?;
    if job.spec != wanted {
        return Err(Failure::key_reused());
    }
    if job.status == Status::Queued {
        send(state, &job).await?;
    }
    Ok(job)
}

async fn send(state: &ApiState, job: &JobState) -> Answer<()> {
    let message = SliceMessage::whole(&job.tenant, &job.id, job.next_slice);
    Ok(state.queue.send(&message, Duration::ZERO).await?)
}

/// All of a tenant's jobs, in no order.
pub(crate) async fn all(state: &ApiState, tenant: &TenantId) -> Answer<Vec<JobState>> {
    let mut ids = Vec::new();
    loop {
        let (page, more) = state.jobs.list(tenant, ids.last(), JOBS_AT_A_TIME).await?;
        ids.extend(page);
        if !more {
            break;
        }
    }
    let reads = ids.into_iter().map(|id| async move {
        match state.jobs.load(tenant, &id).await {
            Ok(job) => Ok(Some(job.value)),
            Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => Ok(None),
            Err(error) => Err(Failure::from(error)),
        }
    });
    let found: Vec<_> = futures::stream::iter(reads).buffer_unordered(READS_AT_A_TIME).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// `GET /v1/fine_tuning/jobs`: newest first; `metadata[k]=v` keeps those with that note.
pub(crate) async fn list(
    State(state): State<ApiState>,
    tenant: Tenant,
    query: QueryPairs,
) -> Answer<Json<List<JobObject>>> {
    let page = Page::from_query(&query, 20, 100)?;
    let mut jobs = all(&state, &tenant.0).await?;
    for (name, value) in &query.0 {
        if let Some(key) = name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')) {
            jobs.retain(|job| job.spec.metadata.get(key) == Some(value));
        }
    }
    jobs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let now = state.clock.now();
    let shown = jobs.iter().map(|job| JobObject::from_state(job, now)).collect();
    Ok(Json(page.cut(shown, |job: &JobObject| job.id.as_str())?))
}

/// `GET /v1/fine_tuning/jobs/{id}`.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<JobObject>> {
    let job = load(&state, &tenant.0, &id).await?;
    Ok(Json(JobObject::from_state(&job, state.clock.now())))
}

/// `GET /v1/fine_tuning/jobs/{id}/events`: newest first.
pub(crate) async fn events(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
    query: QueryPairs,
) -> Answer<Json<List<EventObject>>> {
    let page = Page::from_query(&query, 20, 1000)?;
    let job = load(&state, &tenant.0, &id).await?;
    let events = job.events.iter().rev().map(|event| EventObject::from_event(&job.id, event)).collect();
    Ok(Json(page.cut(events, |event: &EventObject| event.id.as_str())?))
}

/// `GET /v1/fine_tuning/jobs/{id}/checkpoints`: the final adapter, once there is one. Every other release would cost privacy.
pub(crate) async fn checkpoints(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
    query: QueryPairs,
) -> Answer<Json<List<CheckpointObject>>> {
    let page = Page::from_query(&query, 10, 100)?;
    let job = load(&state, &tenant.0, &id).await?;
    let released = (job.status == Status::Succeeded).then(|| CheckpointObject {
        id: job.id.as_str().replace("ftjob-", "ftckpt-"),
        object: "fine_tuning.job.checkpoint".into(),
        created_at: job.finished_at.unwrap_or(job.created_at),
        fine_tuned_model_checkpoint: job.fine_tuned_model(),
        fine_tuning_job_id: job.id.clone(),
        metrics: serde_json::json!({}),
        step_number: job.progress.step,
    });
    Ok(Json(
        page.cut(released.into_iter().collect(), |checkpoint: &CheckpointObject| checkpoint.id.as_str())?,
    ))
}

/// `POST /v1/fine_tuning/jobs/{id}/cancel`; cancelling twice is fine.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<JobObject>> {
    let job = load(&state, &tenant.0, &id).await?;
    let now = state.clock.now();
    let cancel = |job: &JobState| transition(job, Change::Cancel, now);
    let job = match state.jobs.update(&tenant.0, &job.id, cancel).await {
        Ok(job) => {
            give_back(&state, &job.value).await;
            job.value
        }
        Err(JobStoreError::Refused(Refusal::Finished)) => finished(&state, &tenant.0, &id).await?,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(JobObject::from_state(&job, now)))
}

/// `DELETE /v1/fine_tuning/jobs/{id}`: stops the job if it runs, and deletes everything but a receipt. Deleting twice gives the same receipt.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<DeletionReceipt>> {
    let missing = || Failure::not_found("fine-tuning job", &id);
    let job = JobId::parse(&id).map_err(|_| missing())?;
    match jobs::delete_job(&state.store, &tenant.0, &job, state.clock.now()).await {
        Ok(receipt) => Ok(Json(receipt)),
        Err(DeletionError::Jobs(JobStoreError::Missing)) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// `GET /v1/fine_tuning/jobs/{id}/receipt`: what was left of a job that was deleted.
pub(crate) async fn receipt(
    State(state): State<ApiState>,
    tenant: Tenant,
    IdText(id): IdText,
) -> Answer<Json<DeletionReceipt>> {
    let missing = || Failure::not_found("receipt of a deleted job", &id);
    let job = JobId::parse(&id).map_err(|_| missing())?;
    match state.jobs.load(&tenant.0, &job).await {
        Err(JobStoreError::Deleted(receipt)) => Ok(Json(receipt)),
        Ok(_) => {
            Err(ApiError::conflict("job_not_deleted", "The job was not deleted, so there is no receipt.")
                .into())
        }
        Err(JobStoreError::Missing) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// What a cancelled job did not release goes back to its file's account, and its place to its tenant. Should that fail now, the next job on the file sees to it.
async fn give_back(state: &ApiState, job: &JobState) {
    if let Err(error) = state.ledgers.settle(job).await {
        tracing::warn!(job = %job.id, %error, "the account of a cancelled job could not be settled yet");
    }
    if let Err(error) = state.usage.release(&job.tenant, &job.id).await {
        tracing::warn!(job = %job.id, %error, "the place of a cancelled job could not be given back yet");
    }
}

async fn finished(state: &ApiState, tenant: &TenantId, id: &str) -> Answer<JobState> {
    let job = load(state, tenant, id).await?;
    if job.status == Status::Cancelled {
        return Ok(job);
    }
    Err(ApiError::conflict("job_finished", "The job is already finished; there is nothing to cancel.").into())
}

async fn load(state: &ApiState, tenant: &TenantId, text: &str) -> Answer<JobState> {
    let missing = || Failure::not_found("fine-tuning job", text);
    let id = JobId::parse(text).map_err(|_| missing())?;
    match state.jobs.load(tenant, &id).await {
        Ok(job) => Ok(job.value),
        Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "jobs_api_tests.rs"]
mod tests;
