//! Picking up at start what the last process left: jobs whose lease its worker still holds, and jobs without a message.
//!
//! The data folder's lock says that no other process runs, so every lease is a dead one. It is released, and each unfinished job's next slice is
//! asked for. The queue's journal may hold the same message; a second one does no harm.

use crate::error::LocalError;
use jobs::{JobStore, JobStoreError, Queue, Store};
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use protocol::state::JobState;
use protocol::transition::{Change, transition};
use std::sync::Arc;
use std::time::Duration;

/// Releases dead leases and asks for the next slice of every unfinished job. Returns how many there are.
///
/// # Errors
/// [`LocalError::Store`] or [`LocalError::Queue`]. One job's damaged state is logged and left alone.
pub(crate) async fn resume_jobs(
    store: Arc<dyn Store>,
    queue: &dyn Queue,
    now: u64,
) -> Result<usize, LocalError> {
    let jobs = JobStore::new(store.clone());
    let mut resumed = 0;
    for (tenant, job) in all_jobs(&*store).await? {
        match resume(&jobs, &tenant, &job, now).await {
            Ok(None) => {}
            Ok(Some(state)) => {
                let message = SliceMessage::whole(&tenant, &job, state.next_slice);
                let sent = queue.send(&message, Duration::ZERO).await;
                sent.map_err(|error| LocalError::Queue(error.to_string()))?;
                resumed += 1;
            }
            Err(JobStoreError::Store(error)) => return Err(error.into()),
            Err(error) => tracing::error!(%job, %error, "an unfinished job could not be resumed"),
        }
    }
    Ok(resumed)
}

/// The job with its lease free, or none when it is finished. For a lease whose holder is known to be dead.
pub(crate) async fn resume(
    jobs: &JobStore,
    tenant: &TenantId,
    job: &JobId,
    now: u64,
) -> Result<Option<JobState>, JobStoreError> {
    let state = jobs.load(tenant, job).await?.value;
    if state.status.is_final() {
        return Ok(None);
    }
    if state.lease.expires_at.is_none() {
        return Ok(Some(state));
    }
    let epoch = state.lease.epoch;
    let released =
        jobs.update(tenant, job, |state| transition(state, Change::Release { epoch }, now)).await?;
    Ok(Some(released.value))
}

async fn all_jobs(store: &dyn Store) -> Result<Vec<(TenantId, JobId)>, LocalError> {
    const PREFIX: &str = "tenants/";
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(PREFIX, after.as_deref(), 1000).await?;
        found.extend(page.keys.iter().filter_map(|key| job_of(key.strip_prefix(PREFIX)?)));
        if !page.more {
            return Ok(found);
        }
        after = page.keys.last().cloned();
    }
}

/// Reads `{tenant}/jobs/{job}/state.json`.
fn job_of(rest: &str) -> Option<(TenantId, JobId)> {
    let (tenant, rest) = rest.split_once("/jobs/")?;
    let job = rest.strip_suffix("/state.json")?;
    Some((TenantId::parse(tenant).ok()?, JobId::parse(job).ok()?))
}

#[cfg(test)]
#[path = "resume_tests.rs"]
pub(crate) mod tests;
