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

use crate::job_store::{JobStore, JobStoreError};
use crate::store::back_off::Turns;
use crate::store::{Object, PutCondition, Store, StoreError};
use bytes::Bytes;
use dp::{Budget, ChargeState, Event, Ledger, LedgerError};
use protocol::id::{JobId, TenantId};
use protocol::keys;
use protocol::state::{JobState, charge_name, charged_job};
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
    #[error("the ledger was changed by others again and again")]
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

    /// Charges a job that is over for being put back to work once more, beside what its last attempt has released.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub async fn charge_redrive(&self, job: &JobState, now: u64) -> Result<(), LedgerStoreError> {
        let (id, event) = (charge_name(&job.id, job.redrives + 1), job.charge());
        let change = move |ledger: &Ledger| ledger.charge(&id, event, now);
        let key = keys::ledger(&job.tenant, &job.protection.dataset);
        self.change(&key, job.protection.budget, change).await.map(|_| ())
    }

    /// Sees to it that `job` is charged for all it may release. Normally it is, and this is one read.
    ///
    /// # Errors
    /// As [`charge`](Self::charge).
    pub async fn ensure_charged(&self, job: &JobState, now: u64) -> Result<(), LedgerStoreError> {
        let (dataset, budget) = (&job.protection.dataset, job.protection.budget);
        let (id, earlier, event) = (job.charge_name(), earlier_attempts(job), job.charge());
        let is_settled = |ledger: &Ledger| {
            ledger.covers(&id, event) && *ledger == ledger.with_attempts_merged(&id, &earlier)
        };
        if self.load(&job.tenant, dataset).await?.as_ref().is_some_and(is_settled) {
            return Ok(());
        }
        tracing::warn!(job = %job.id, "a job's charge is gone or out of date; it is charged again");
        let change =
            |ledger: &Ledger| Ok(ledger.charge(&id, event, now)?.with_attempts_merged(&id, &earlier));
        self.change(&keys::ledger(&job.tenant, dataset), budget, change).await.map(|_| ())
    }

    /// Brings the charge of a job that is over down to what it released. Does nothing for a job that is not over, or is settled.
    ///
    /// # Errors
    /// [`LedgerStoreError::Refused`] if the job would have released more than it was charged for; store errors.
    pub async fn settle(&self, job: &JobState) -> Result<(), LedgerStoreError> {
        match job.released() {
            Some(released) => {
                let (id, earlier) = (job.charge_name(), earlier_attempts(job));
                self.settle_as(&job.tenant, &job.protection.dataset, &id, released, earlier).await
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
            let Some((job, attempt)) = charged_job(&charge.id) else { continue };
            let age = now.saturating_sub(charge.at);
            let released = match jobs.load(tenant, &job).await {
                Ok(state) if attempt == state.value.redrives => {
                    self.settle(&state.value).await?;
                    continue;
                }
                // Of a worker that has not noticed yet that its job was given up and put back to work: it can release nothing any more.
                Ok(state) if attempt < state.value.redrives => Vec::new(),
                // Its operator was about to put it back to work, and has not.
                Ok(_) if age >= ABANDONED_SECONDS => Vec::new(),
                Ok(_) => continue,
                // Likewise of a worker that has not noticed that its job was deleted.
                Err(JobStoreError::Deleted(receipt)) if attempt == receipt.redrives => receipt.released,
                Err(JobStoreError::Deleted(_)) => Vec::new(),
                Err(JobStoreError::Missing) if (ABANDONED_SECONDS..FORGOTTEN_SECONDS).contains(&age) => {
                    Vec::new()
                }
                Err(JobStoreError::Missing) => continue,
                Err(error) => return Err(error.into()),
            };
            self.settle_as(tenant, dataset, &charge.id, released, Vec::new()).await?;
        }
        self.load(tenant, dataset).await
    }

    async fn settle_as(
        &self,
        tenant: &TenantId,
        dataset: &str,
        id: &str,
        released: Vec<Event>,
        earlier: Vec<String>,
    ) -> Result<(), LedgerStoreError> {
        let key = keys::ledger(tenant, dataset);
        let Some((ledger, _)) = self.read(&key).await? else { return Ok(()) };
        let id = id.to_owned();
        let change = move |ledger: &Ledger| {
            let settled = match ledger.settle(&id, &released) {
                // Settled before, by the same final state and so to the same.
                Err(LedgerError::NotReserved(_)) => ledger.clone(),
                settled => settled?,
            };
            Ok(settled.with_attempts_merged(&id, &earlier))
        };
        self.change(&key, ledger.budget(), change).await.map(|_| ())
    }

    /// Applies `change` until nobody else writes in between. Every change here comes to the same when applied twice, so a put whose answer was
    /// lost needs no thought: the next turn finds nothing left to do. The first charge asks the accountant once, some tens of milliseconds.
    async fn change<F>(&self, key: &str, budget: Budget, change: F) -> Result<Ledger, LedgerStoreError>
    where
        F: Fn(&Ledger) -> Result<Ledger, LedgerError> + Send + Sync,
    {
        let (mut last, mut latest) = (LedgerStoreError::Contended, Bytes::new());
        let mut turns = Turns::default();
        while turns.next(&*self.store, &latest).await {
            let stored = match self.read(key).await {
                Ok(stored) => stored,
                Err(error @ LedgerStoreError::Store(_)) => {
                    turns.failed();
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
            latest = to_bytes(&after);
            match self.store.put(key, latest.clone(), condition).await {
                Ok(_) => return Ok(after),
                Err(StoreError::PreconditionFailed) => {
                    turns.lost();
                    last = LedgerStoreError::Contended;
                }
                Err(error) => {
                    turns.failed();
                    last = error.into();
                }
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

/// The charges of a job's attempts before the present one.
fn earlier_attempts(job: &JobState) -> Vec<String> {
    (0..job.redrives).map(|attempt| charge_name(&job.id, attempt)).collect()
}

fn to_bytes(ledger: &Ledger) -> Bytes {
    // A struct of finite numbers, strings and lists always serialises.
    Bytes::from(serde_json::to_vec(ledger).expect("a ledger is plain data"))
}

#[cfg(test)]
#[path = "ledger_store_tests.rs"]
mod tests;
