//! What one tenant may have at a time: unfinished jobs, functions at work, stored bytes.
//!
//! Open jobs lie in one small object of the tenant's, under compare-and-swap:
//!
//! ```text
//! create: reserve (refused beyond the quota) ─▶ charge ─▶ state.json ─▶ message
//! work:   a queued job starts when its workers fit beside those of the tenant's running jobs; else its message comes again later
//! end:    release, when the job is tidied up
//! ```
//! A reservation whose job is over, or never came to be, is dropped before anything is refused for want of room, and by the sweep. So a crash at any
//! of the arrows costs room for a while, and never more than the quota is used.
//!
//! Bytes are counted in the store itself at each upload, and files that were announced count as the largest; requests at the same moment do not see each
//! other, so the quota may be passed by what they bring together.

use crate::job_store::{JobStore, JobStoreError};
use crate::ledger_store::ABANDONED_SECONDS;
use crate::store::back_off::Turns;
use crate::store::{Object, PutCondition, Store, StoreError};
use bytes::Bytes;
use protocol::api::MAX_FILE_BYTES;
use protocol::id::{JobId, TenantId};
use protocol::keys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a tenant may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Jobs that are not over.
    pub jobs: u32,
    /// Functions at work: a running job counts as many as it has workers.
    pub functions: u32,
    /// Bytes of files, results included.
    pub bytes: u64,
}

impl Default for Quotas {
    /// A thousand of the largest files, and as many jobs as a team looks after.
    fn default() -> Self {
        Self { jobs: 20, functions: 64, bytes: 1_000 * MAX_FILE_BYTES }
    }
}

/// An operator's exceptions for one tenant, in `quotas/{tenant}.json`; what is left out is as for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaExceptions {
    jobs: Option<u32>,
    functions: Option<u32>,
    bytes: Option<u64>,
}

impl QuotaExceptions {
    fn over(self, quotas: Quotas) -> Quotas {
        Quotas {
            jobs: self.jobs.unwrap_or(quotas.jobs),
            functions: self.functions.unwrap_or(quotas.functions),
            bytes: self.bytes.unwrap_or(quotas.bytes),
        }
    }
}

/// A tenant's open jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// By job.
    pub open: BTreeMap<JobId, OpenJob>,
}

/// One open job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenJob {
    /// Unix seconds of the reservation.
    pub at: u64,
    /// Functions that it uses when it runs.
    pub workers: u32,
    /// Whether it has started.
    pub running: bool,
}

impl Usage {
    /// Functions at work.
    pub fn functions(&self) -> u32 {
        self.open.values().filter(|job| job.running).fold(0, |sum, job| sum.saturating_add(job.workers))
    }

    fn reserved(&self, job: &JobId, workers: u32, at: u64, quotas: Quotas) -> Option<Self> {
        let mut next = self.clone();
        next.open.entry(job.clone()).or_insert(OpenJob { at, workers, running: false });
        (next.open.len() <= quotas.jobs as usize || next == *self).then_some(next)
    }

    fn started(&self, job: &JobId, workers: u32, at: u64, quotas: Quotas) -> Option<Self> {
        let mut next = self.clone();
        next.open.entry(job.clone()).or_insert(OpenJob { at, workers, running: false }).running = true;
        (next.functions() <= quotas.functions || next == *self).then_some(next)
    }
}

/// Why a quota could not be seen to.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuotaError {
    /// All of the tenant's places are taken.
    #[error("a tenant may have {0} jobs that are not over")]
    Jobs(u32),
    /// The job alone asks for more functions than its tenant may use.
    #[error("a tenant may have {0} functions at work")]
    Functions(u32),
    /// The tenant's files fill its room.
    #[error("a tenant may store {0} bytes")]
    Bytes(u64),
    /// The usage was changed by others again and again. A retry may help.
    #[error("the tenant's usage was changed by others again and again")]
    Contended,
    /// A job that the usage speaks of could not be read.
    #[error(transparent)]
    Jobstore(#[from] JobStoreError),
    /// The object store failed. A retry may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tenants' usage in an object store.
#[derive(Clone)]
pub struct UsageStore {
    store: Arc<dyn Store>,
    queues: Arc<Queues>,
}

/// Where this process's callers wait for each other: tenants that share one of a fixed number, by their names' hash, wait a little longer.
#[derive(Default)]
struct Queues([Mutex<()>; 32]);

impl Queues {
    fn of(&self, tenant: &TenantId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        &self.0[hasher.finish() as usize % self.0.len()]
    }
}

impl UsageStore {
    /// The usage in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, queues: Arc::default() }
    }

    /// The tenant's quotas: `usual`, unless its operator has made exceptions.
    ///
    /// # Errors
    /// Store errors. Exceptions that cannot be read are logged and do not count.
    pub async fn quotas(&self, tenant: &TenantId, usual: Quotas) -> Result<Quotas, QuotaError> {
        let key = keys::quotas(tenant);
        let Some((bytes, _)) = self.read(&key).await? else { return Ok(usual) };
        let exceptions: QuotaExceptions = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            tracing::error!(
                key,
                "a tenant's quotas cannot be read: they must be JSON with jobs, functions and bytes"
            );
            QuotaExceptions::default()
        });
        Ok(exceptions.over(usual))
    }

    /// What the tenant uses.
    ///
    /// # Errors
    /// Store errors. Usage that cannot be read counts as none: it is built up anew.
    pub async fn load(&self, tenant: &TenantId) -> Result<Usage, QuotaError> {
        let found = self.read(&keys::usage(tenant)).await?;
        Ok(found.map(|(bytes, _)| serde_json::from_slice(&bytes).unwrap_or_default()).unwrap_or_default())
    }

    /// Takes a place for a new job of `workers`. Taking it again changes nothing.
    ///
    /// # Errors
    /// [`QuotaError::Jobs`] or [`QuotaError::Functions`] when there is none; store errors.
    pub async fn reserve(
        &self,
        tenant: &TenantId,
        job: &JobId,
        workers: u32,
        usual: Quotas,
        now: u64,
    ) -> Result<(), QuotaError> {
        let quotas = self.quotas(tenant, usual).await?;
        if workers > quotas.functions {
            return Err(QuotaError::Functions(quotas.functions));
        }
        let change = |usage: &Usage| usage.reserved(job, workers, now, quotas);
        match self.change_or_clear(tenant, now, change).await? {
            true => Ok(()),
            false => Err(QuotaError::Jobs(quotas.jobs)),
        }
    }

    /// Lets a job of `workers` start if they fit; false when it must wait. A job that has started stays so.
    ///
    /// # Errors
    /// Store errors.
    pub async fn start(
        &self,
        tenant: &TenantId,
        job: &JobId,
        workers: u32,
        usual: Quotas,
        now: u64,
    ) -> Result<bool, QuotaError> {
        let quotas = self.quotas(tenant, usual).await?;
        // An exception that was made smaller since must not keep the job for ever: alone, it runs.
        let quotas = Quotas { functions: quotas.functions.max(workers), ..quotas };
        self.change_or_clear(tenant, now, |usage| usage.started(job, workers, now, quotas)).await
    }

    /// Gives a job's place back.
    ///
    /// # Errors
    /// Store errors.
    pub async fn release(&self, tenant: &TenantId, job: &JobId) -> Result<(), QuotaError> {
        let drop = |usage: &Usage| {
            let mut next = usage.clone();
            next.open.remove(job);
            Some(next)
        };
        self.change(tenant, drop).await.map(|_| ())
    }

    /// Drops reservations of jobs that are over, or never came to be.
    ///
    /// # Errors
    /// Store errors.
    pub async fn clear(&self, tenant: &TenantId, now: u64) -> Result<(), QuotaError> {
        let jobs = JobStore::new(Arc::clone(&self.store));
        let mut over = Vec::new();
        for (job, open) in self.load(tenant).await?.open {
            match jobs.load(tenant, &job).await {
                Ok(stored) if !stored.value.status.is_final() => {}
                Ok(_) | Err(JobStoreError::Deleted(_)) => over.push((job, open)),
                Err(JobStoreError::Missing) if now >= open.at.saturating_add(ABANDONED_SECONDS) => {
                    over.push((job, open));
                }
                Err(JobStoreError::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if over.is_empty() {
            return Ok(());
        }
        let drop = |usage: &Usage| {
            let mut next = usage.clone();
            // One that was reserved anew since, such as a job that was put back to work, stays.
            next.open.retain(|job, open| !over.contains(&(job.clone(), *open)));
            Some(next)
        };
        self.change(tenant, drop).await.map(|_| ())
    }

    /// Whether `more` bytes fit beside the tenant's files.
    ///
    /// # Errors
    /// [`QuotaError::Bytes`] when they do not; store errors.
    pub async fn check_room(&self, tenant: &TenantId, more: u64, usual: Quotas) -> Result<(), QuotaError> {
        let quotas = self.quotas(tenant, usual).await?;
        let (files, jobs) = (keys::files_prefix(tenant), keys::jobs_prefix(tenant));
        let mut objects = self.store.sizes(&files).await?;
        objects.extend(self.store.sizes(&jobs).await?);
        let stored = objects.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
        let count = |wanted: fn(&str) -> bool| objects.iter().filter(|(key, _)| wanted(key)).count() as u64;
        // Each file has an entry, and its content beside it or, for a result, in its job's folder.
        let entries = count(|key| key.ends_with("/meta.json"));
        let arrived = count(|key| key.ends_with("/content")) + count(|key| key.contains("/adapter-"));
        let announced = entries.saturating_sub(arrived).saturating_mul(MAX_FILE_BYTES);
        match stored.saturating_add(announced).saturating_add(more) <= quotas.bytes {
            true => Ok(()),
            false => Err(QuotaError::Bytes(quotas.bytes)),
        }
    }

    /// Changes the usage; if it does not allow that, once more without what is over. False when it still does not.
    async fn change_or_clear(
        &self,
        tenant: &TenantId,
        now: u64,
        change: impl Fn(&Usage) -> Option<Usage> + Send + Sync,
    ) -> Result<bool, QuotaError> {
        if self.change(tenant, &change).await? {
            return Ok(true);
        }
        self.clear(tenant, now).await?;
        self.change(tenant, &change).await
    }

    /// Applies `change` until nobody else writes in between; false when it refuses. Every change comes to the same when applied twice.
    async fn change(
        &self,
        tenant: &TenantId,
        change: impl Fn(&Usage) -> Option<Usage> + Send + Sync,
    ) -> Result<bool, QuotaError> {
        let key = keys::usage(tenant);
        let (mut last, mut latest) = (QuotaError::Contended, Bytes::new());
        // Callers of one process queue up; only processes race.
        let _turn = self.queues.of(tenant).lock().await;
        let mut turns = Turns::default();
        while turns.next(&*self.store, &latest).await {
            let (before, condition) = match self.read(&key).await {
                Ok(Some((bytes, etag))) => {
                    (serde_json::from_slice(&bytes).unwrap_or_default(), PutCondition::IfMatch(etag))
                }
                Ok(None) => (Usage::default(), PutCondition::IfAbsent),
                Err(error) => {
                    turns.failed();
                    last = error.into();
                    continue;
                }
            };
            let Some(after) = change(&before) else { return Ok(false) };
            if after == before {
                return Ok(true);
            }
            // A map of plain strings and numbers always serialises.
            latest = Bytes::from(serde_json::to_vec(&after).expect("usage is plain data"));
            match self.store.put(&key, latest.clone(), condition).await {
                Ok(_) => return Ok(true),
                Err(StoreError::PreconditionFailed) => {
                    turns.lost();
                    last = QuotaError::Contended;
                }
                Err(error) => {
                    turns.failed();
                    last = error.into();
                }
            }
        }
        Err(last)
    }

    async fn read(&self, key: &str) -> Result<Option<(Bytes, String)>, StoreError> {
        match self.store.get(key).await {
            Ok(Object { bytes, etag }) => Ok(Some((bytes, etag))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
