//! The account of each data set in the object store, changed only under compare-and-swap.
//!
//! A ledger and a job's state are two objects, and no store writes two at once. So the order decides, and every step can be repeated:
//!
//! ```text
//! create:  reconcile ─▶ charge (CAS on the ledger) ─▶ state.json (if absent) ─▶ message
//! work:    before every slice, and before the adapter is published: is the charge there? (if not, charge again or fail the job)
//! end:     state.json becomes final (CAS) ─▶ settle, from the final state alone (CAS on the ledger)
//! ```
//!
//! Invariant: nothing is released unless its charge is in the ledger. A crash after the charge leaves a charge that nobody uses, never a release
//! that nobody paid for. [`reconcile`](LedgerStore::reconcile) takes such charges back: those of jobs that are over by what their final state says
//! was released, those of jobs that never came to be between [`ABANDONED_SECONDS`] and [`FORGOTTEN_SECONDS`]. Should a creator wake up after even that, its job finds at its
//! first slice that the charge is gone, and is charged again.

use crate::job_store::{JobStore, JobStoreError, MAX_TRIES};
use crate::store::{Object, PutCondition, Store, StoreError};
use bytes::Bytes;
use dp::{Budget, ChargeState, Event, Ledger, LedgerError};
use protocol::id::{JobId, TenantId};
use protocol::keys;
use protocol::state::JobState;
use std::sync::Arc;

/// How long a charge without a job is kept: a request ends within seconds, and a function within 15 minutes.
pub const ABANDONED_SECONDS: u64 = 3600;

/// How old a charge without a job may be to be taken back. A job's state may be deleted after two days at the earliest, so an older charge may
/// be that of a job which did release something, and stays.
pub const FORGOTTEN_SECONDS: u64 = 24 * 3600;

/// Why a ledger could not be read or changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LedgerStoreError {
    /// The ledger does not allow it.
    #[error(transparent)]
    Refused(#[from] LedgerError),
    /// Somebody else changed the ledger again and again. A retry may help.
    #[error("the ledger was changed by others {MAX_TRIES} times in a row")]
    Contended,
    /// The stored ledger cannot be read; it was written by another version or damaged.
    #[error("the ledger of the data set is damaged")]
    Damaged,
    /// A job that the ledger speaks of could not be read.
    #[error(transparent)]
    Jobs(#[from] JobStoreError),
    /// The object store failed. A retry may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The ledgers in an object store.
#[derive(Clone)]
pub struct LedgerStore {
    store: Arc<dyn Store>,
}

impl LedgerStore {
    /// The ledgers in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The ledger of a data set, if anything was ever charged to it.
    ///
    /// # Errors
    /// [`LedgerStoreError::Damaged`]; store errors.
    pub async fn load(&self, tenant: &TenantId, dataset: &str) -> Result<Option<Ledger>, LedgerStoreError> {
        Ok(self.read(&keys::ledger(tenant, dataset)).await?.map(|(ledger, _)| ledger))
    }

    /// Charges `job` for `event`, opening the ledger with `budget` if there is none; a ledger that is there keeps its own budget. Charging
    /// again for the same changes nothing.
    ///
    /// # Errors
    /// [`LedgerStoreError::Refused`] when the budget does not allow it; store errors, after which the charge may have been made or not.
    pub async fn charge(
        &self,
        tenant: &TenantId,
        dataset: &str,
        budget: Budget,
        job: &JobId,
        event: Event,
        now: u64,
    ) -> Result<Ledger, LedgerStoreError> {
        let id = job.to_string();
        let change = move |ledger: &Ledger| ledger.charge(&id, event, now);
        self.change(&keys::ledger(tenant, dataset), budget, change).await
    }

    /// Sees to it that `job` is charged for all it may release. Normally it is, and this is one read.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub async fn ensure_charged(&self, job: &JobState, now: u64) -> Result<(), LedgerStoreError> {
        let (dataset, budget) = (&job.protection.dataset, job.protection.budget);
        let found = self.load(&job.tenant, dataset).await?;
        if found.is_some_and(|ledger| ledger.covers(job.id.as_str(), job.charge())) {
            return Ok(());
        }
        tracing::warn!(job = %job.id, "a job's charge is gone; it is charged again");
        self.charge(&job.tenant, dataset, budget, &job.id, job.charge(), now).await.map(|_| ())
    }

    /// Brings the charge of a job that is over down to what it released. Does nothing for a job that is not over, or is settled.
    ///
    /// # Errors
    /// [`LedgerStoreError::Refused`] if the job would have released more than it was charged for; store errors.
    pub async fn settle(&self, job: &JobState) -> Result<(), LedgerStoreError> {
        match job.released() {
            Some(released) => {
                self.settle_as(&job.tenant, &job.protection.dataset, job.id.as_str(), released).await
            }
            None => Ok(()),
        }
    }

    /// Settles all open charges of jobs that are over or never came to be, and returns the ledger.
    ///
    /// # Errors
    /// As [`settle`](Self::settle); [`LedgerStoreError::Jobs`] if a job cannot be read.
    pub async fn reconcile(
        &self,
        tenant: &TenantId,
        dataset: &str,
        now: u64,
    ) -> Result<Option<Ledger>, LedgerStoreError> {
        let Some(ledger) = self.load(tenant, dataset).await? else { return Ok(None) };
        let jobs = JobStore::new(Arc::clone(&self.store));
        for charge in ledger.charges().iter().filter(|charge| charge.state == ChargeState::Reserved) {
            // A name that is none was written by nobody of ours; it stays charged.
            let Ok(job) = JobId::parse(&charge.id) else { continue };
            match jobs.load(tenant, &job).await {
                Ok(state) => self.settle(&state.value).await?,
                Err(JobStoreError::Missing)
                    if (ABANDONED_SECONDS..FORGOTTEN_SECONDS).contains(&now.saturating_sub(charge.at)) =>
                {
                    self.settle_as(tenant, dataset, &charge.id, Vec::new()).await?;
                }
                // A job is settled before it is deleted, so this charge is about to be.
                Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.load(tenant, dataset).await
    }

    async fn settle_as(
        &self,
        tenant: &TenantId,
        dataset: &str,
        id: &str,
        released: Vec<Event>,
    ) -> Result<(), LedgerStoreError> {
        let key = keys::ledger(tenant, dataset);
        let Some((ledger, _)) = self.read(&key).await? else { return Ok(()) };
        let id = id.to_owned();
        let change = move |ledger: &Ledger| match ledger.settle(&id, &released) {
            // Settled before, by the same final state and so to the same.
            Err(LedgerError::NotReserved(_)) => Ok(ledger.clone()),
            settled => settled,
        };
        self.change(&key, ledger.budget(), change).await.map(|_| ())
    }

    /// Applies `change` until nobody else writes in between. Every change here comes to the same when applied twice, so a put whose answer was
    /// lost needs no thought: the next turn finds nothing left to do. The first charge asks the accountant once, some tens of milliseconds.
    async fn change<F>(&self, key: &str, budget: Budget, change: F) -> Result<Ledger, LedgerStoreError>
    where
        F: Fn(&Ledger) -> Result<Ledger, LedgerError> + Send + Sync,
    {
        let mut last = LedgerStoreError::Contended;
        for _ in 0..MAX_TRIES {
            let stored = match self.read(key).await {
                Ok(stored) => stored,
                Err(error @ LedgerStoreError::Store(_)) => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (before, condition) = match stored {
                Some((ledger, etag)) => (ledger, PutCondition::IfMatch(etag)),
                None => (Ledger::new(budget), PutCondition::IfAbsent),
            };
            let after = change(&before)?;
            if after == before {
                return Ok(after);
            }
            match self.store.put(key, to_bytes(&after), condition).await {
                Ok(_) => return Ok(after),
                Err(StoreError::PreconditionFailed) => last = LedgerStoreError::Contended,
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    async fn read(&self, key: &str) -> Result<Option<(Ledger, String)>, LedgerStoreError> {
        match self.store.get(key).await {
            Ok(Object { bytes, etag }) => {
                let ledger = serde_json::from_slice(&bytes).map_err(|_| LedgerStoreError::Damaged)?;
                Ok(Some((ledger, etag)))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn to_bytes(ledger: &Ledger) -> Bytes {
    // A struct of finite numbers, strings and lists always serialises.
    Bytes::from(serde_json::to_vec(ledger).expect("a ledger is plain data"))
}

#[cfg(test)]
#[path = "ledger_store_tests.rs"]
mod tests;
