//! What a job leaves behind: the adapter's files, as objects that the owner can list and download.

use crate::job_store::{JobStore, JobStoreError};
use crate::ledger_store::LedgerStore;
use crate::quota::UsageStore;
use crate::slice::sha256;
use crate::store::{PutCondition, Store, StoreError};
use bytes::Bytes;
use protocol::api::{FileMeta, PURPOSE_RESULTS};
use protocol::id::{FileId, Filename, JobId, TenantId};
use protocol::keys;
use protocol::state::{JobState, Status};
use std::sync::Arc;

/// Keys looked at in one go when tidying up; a job leaves far fewer.
const PAGE: usize = 1000;

/// Writes `files` under the job's present epoch and then their metadata, and returns their ids in order. Doing it again under the same epoch
/// gives the same ids.
///
/// # Errors
/// Store errors; what was written by then is referred to by nothing.
pub(crate) async fn write(
    store: &dyn Store,
    job: &JobState,
    files: Vec<(String, Vec<u8>)>,
    now: u64,
) -> Result<Vec<FileId>, StoreError> {
    let mut metas = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let Ok(filename) = Filename::parse(&name) else {
            // The trainer names its files itself; a bad name is its bug, and the owner must not get half a folder.
            return Err(StoreError::Unavailable {
                operation: "write a result",
                reason: "its name is not valid".into(),
            });
        };
        let meta = FileMeta {
            id: file_id(&job.id, job.lease.epoch, &name),
            filename,
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
            purpose: PURPOSE_RESULTS.into(),
            created_at: now,
            content_key: keys::adapter_file(&job.tenant, &job.id, job.lease.epoch, &name),
        };
        store.put(&meta.content_key, Bytes::from(bytes), PutCondition::Always).await?;
        metas.push(meta);
    }
    let mut ids = Vec::with_capacity(metas.len());
    for meta in metas {
        // A struct of plain strings and numbers always serialises.
        let bytes = serde_json::to_vec(&meta).expect("file metadata is plain data");
        store.put(&keys::file_meta(&job.tenant, &meta.id), Bytes::from(bytes), PutCondition::Always).await?;
        ids.push(meta.id);
    }
    Ok(ids)
}

/// Takes back the results of a job that ended otherwise, or that another worker has taken over, before they were its results.
///
/// # Errors
/// Store errors; what stays is referred to by nothing, and goes with the next sweep.
pub(crate) async fn withdraw(store: &dyn Store, job: &JobState, ids: &[FileId]) -> Result<(), StoreError> {
    for id in ids {
        store.purge(&keys::file_folder(&job.tenant, id), None).await?;
    }
    let folder = keys::adapter_folder(&job.tenant, &job.id, job.lease.epoch);
    store.purge(&folder, None).await.map(|_| ())
}

/// The id of a result. It holds the epoch, so that a fenced worker never touches its successor's files.
fn file_id(job: &JobId, epoch: u64, name: &str) -> FileId {
    FileId::derived(&[job.as_str(), &epoch.to_string(), name])
}

/// Settles the account of a job that is over, and deletes what it no longer needs: its checkpoints, and all results but those it succeeded with.
/// Failures are logged: nothing refers to what stays, and an account is settled at the latest when the next job on the data is created.
pub(crate) async fn tidy(store: &Arc<dyn Store>, jobs: &JobStore, tenant: &TenantId, job: &JobId) {
    let over = match jobs.load(tenant, job).await {
        Ok(stored) if stored.value.status.is_final() => stored.value,
        Ok(_) => return,
        Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => {
            // Nothing refers to what a late worker wrote for it.
            if let Err(error) = purge(&**store, tenant, job).await {
                tracing::warn!(%job, %error, "what was written for a job that is gone could not be deleted");
            }
            return;
        }
        Err(error) => return tracing::warn!(%job, %error, "a job that is over could not be tidied up"),
    };
    if let Err(error) = LedgerStore::new(Arc::clone(store)).settle(&over).await {
        tracing::warn!(%job, %error, "the account of a job that is over could not be settled yet");
    }
    if let Err(error) = UsageStore::new(Arc::clone(store)).release(tenant, job).await {
        tracing::warn!(%job, %error, "the place of a job that is over could not be given back yet");
    }
    if let Err(error) = delete_leftovers(&**store, &over).await {
        tracing::warn!(%job, %error, "what a job left behind could not be deleted");
    }
}

async fn delete_leftovers(store: &dyn Store, job: &JobState) -> Result<(), StoreError> {
    let folder = keys::job_folder(&job.tenant, &job.id);
    let found = store.list(&folder, None, PAGE).await?.keys;
    for name in found.iter().map(|key| &key[folder.len()..]).filter(|name| is_leftover(job, name)) {
        if let Some((epoch, file)) = adapter_part(name) {
            store.delete(&keys::file_meta(&job.tenant, &file_id(&job.id, epoch, file))).await?;
        }
        store.delete(&format!("{folder}{name}")).await?;
    }
    Ok(())
}

/// True when a job that is over has something left that it does not need.
pub(crate) async fn has_leftovers(store: &dyn Store, job: &JobState) -> Result<bool, StoreError> {
    let folder = keys::job_folder(&job.tenant, &job.id);
    let found = store.list(&folder, None, PAGE).await?.keys;
    Ok(found.iter().any(|key| is_leftover(job, &key[folder.len()..])))
}

/// Whether a job that is over does not need its object `name`.
fn is_leftover(job: &JobState, name: &str) -> bool {
    // Nobody takes the lease of a finished job, so the present epoch is the one that succeeded.
    let kept = (job.status == Status::Succeeded).then_some(job.lease.epoch);
    // A job that may be put back to work goes on from there.
    let checkpoint = job.checkpoint.as_ref().filter(|_| job.can_be_redriven());
    match adapter_part(name) {
        Some((epoch, _)) => Some(epoch) != kept,
        None if name.starts_with("checkpoint-") => checkpoint.is_none_or(|kept| !kept.key.ends_with(name)),
        None if name.starts_with(&format!("shard-{}-", job.next_slice)) => !job.can_be_redriven(),
        None => name.starts_with("shard-"),
    }
}

/// Deletes everything of a job but what lies in its state's place, with all versions. Returns how many objects.
pub(crate) async fn purge(store: &dyn Store, tenant: &TenantId, job: &JobId) -> Result<u64, StoreError> {
    let (folder, state) = (keys::job_folder(tenant, job), keys::job_state(tenant, job));
    let mut purged = 0;
    for key in store.list(&folder, None, PAGE).await?.keys {
        if let Some((epoch, file)) = adapter_part(&key[folder.len()..]) {
            let entry = keys::file_folder(tenant, &file_id(job, epoch, file));
            purged += store.purge(&entry, None).await?;
        }
    }
    Ok(purged + store.purge(&folder, Some(&state)).await?)
}

/// `adapter-3/README.md` → 3, `README.md`.
fn adapter_part(name: &str) -> Option<(u64, &str)> {
    let (epoch, file) = name.strip_prefix("adapter-")?.split_once('/')?;
    Some((epoch.parse().ok()?, file))
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
