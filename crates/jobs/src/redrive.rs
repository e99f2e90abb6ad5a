//! Putting a job back to work that failed for a reason on the service's side: it goes on from its last checkpoint.
//!
//! ```text
//! charge again ─▶ queued (CAS) ─▶ message
//! ```
//! The new charge stands beside what the failed attempt released until the job's state says that it is back at work: then it stands for both.
//!
//! The job keeps its seed, so steps that are made again draw the noise of their first time, and it costs what it was charged at first. Every step
//! can be repeated.

use crate::clock::Clock;
use crate::job_store::{JobStore, JobStoreError};
use crate::ledger_store::{LedgerStore, LedgerStoreError};
use crate::queue::{Queue, QueueError};
use crate::store::Store;
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use protocol::state::JobState;
use protocol::transition::{Change, Refusal, transition};
use std::sync::Arc;
use std::time::Duration;

/// Why a job was not put back to work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RedriveError {
    /// There is no such job, it did not fail on the service's side, or its state could not be changed.
    #[error(transparent)]
    Jobs(#[from] JobStoreError),
    /// Other jobs have used up the budget of its file since.
    #[error(transparent)]
    Ledger(#[from] LedgerStoreError),
    /// Its message could not be sent; do it again.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Puts a job back to work; one that is at work already gets its message again, which does no harm.
///
/// # Errors
/// A [`RedriveError`]; it may be done again after any of them.
pub async fn redrive_job(
    store: &Arc<dyn Store>,
    queue: &dyn Queue,
    clock: &dyn Clock,
    tenant: &TenantId,
    job: &JobId,
) -> Result<(), RedriveError> {
    let jobs = JobStore::new(Arc::clone(store));
    let mut state = jobs.load(tenant, job).await?.value;
    if state.status.is_final() {
        if !state.can_be_redriven() {
            return Err(JobStoreError::Refused(Refusal::NotRedrivable).into());
        }
        let now = clock.now();
        LedgerStore::new(Arc::clone(store)).charge_redrive(&state, now).await?;
        let redrive = |state: &JobState| match state.status.is_final() {
            true => transition(state, Change::Redrive, now),
            // Somebody else was quicker.
            false => Ok(state.clone()),
        };
        state = jobs.update(tenant, job, redrive).await?.value;
    }
    queue.send(&SliceMessage::whole(tenant, job, state.next_slice), Duration::ZERO).await?;
    Ok(())
}

#[cfg(test)]
#[path = "redrive_tests.rs"]
mod tests;
