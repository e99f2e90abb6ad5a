//! Deleting a job with everything that is left of it.
//!
//! ```text
//! discard (CAS) ─▶ settle its account ─▶ purge its objects ─▶ receipt in its state's place (CAS) ─▶ purge once more
//! ```
//! The account comes before the objects: without the job's state nobody could tell any more what it released. The second purge takes what a worker
//! wrote that had not noticed yet; one that writes even later finds the receipt at its commit and purges itself, as does whoever gets its message
//! again.
//!
//! Every step can be repeated, so a request that broke off is finished by the next one.

use crate::job_store::{JobStore, JobStoreError};
use crate::ledger_store::{LedgerStore, LedgerStoreError};
use crate::quota::UsageStore;
use crate::results;
use crate::store::{Store, StoreError};
use protocol::id::{JobId, TenantId};
use protocol::receipt::DeletionReceipt;
use protocol::state::JobState;
use protocol::transition::{Change, transition};
use std::sync::Arc;

/// Why a job could not be deleted. A retry goes on where this one stopped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeletionError {
    /// There is no such job, or its state could not be read or changed.
    #[error(transparent)]
    Jobs(#[from] JobStoreError),
    /// Its account could not be settled.
    #[error(transparent)]
    Ledger(#[from] LedgerStoreError),
    /// Its objects could not be deleted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deletes a job, running or not, and returns the receipt; of a job that is deleted already, the receipt of that time.
///
/// # Errors
/// [`JobStoreError::Missing`] if there never was such a job; otherwise errors of the store, after which it may be half deleted.
pub async fn delete_job(
    store: &Arc<dyn Store>,
    tenant: &TenantId,
    job: &JobId,
    now: u64,
) -> Result<DeletionReceipt, DeletionError> {
    let jobs = JobStore::new(Arc::clone(store));
    let discard = |state: &JobState| match state.discarded {
        true => Ok(state.clone()),
        false => transition(state, Change::Discard, now),
    };
    let state = match jobs.update(tenant, job, discard).await {
        Ok(stored) => stored.value,
        Err(JobStoreError::Deleted(receipt)) => {
            results::purge(&**store, tenant, job).await?;
            return Ok(receipt);
        }
        Err(error) => return Err(error.into()),
    };
    LedgerStore::new(Arc::clone(store)).settle(&state).await?;
    let purged = results::purge(&**store, tenant, job).await?;
    let receipt = DeletionReceipt::of(&state, purged, now);
    let receipt = jobs.bury(tenant, job, &receipt).await?;
    results::purge(&**store, tenant, job).await?;
    if let Err(error) = UsageStore::new(Arc::clone(store)).release(tenant, job).await {
        tracing::warn!(%job, %error, "the place of a deleted job could not be given back yet");
    }
    Ok(receipt)
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
