//! A job's state in the object store, changed only under compare-and-swap.
//!
//! [`JobStore::update`] reads the state, applies a pure function to it, and writes the result on the condition that nobody wrote in between;
//! otherwise it starts over. A put whose answer was lost may have landed: the next turn then reads back the very state that was wanted and stops.
//! That conclusion is right when the wanted state can be nobody else's, which holds for everything a lease holder writes (its epoch is its own),
//! for a creation (its noise seed is) and for changes that come to the same whoever makes them, such as a cancellation. It does not hold for
//! taking a lease; see [`crate::lease`].

use crate::store::back_off::Turns;
use crate::store::{Object, PutCondition, Store, StoreError};
use bytes::Bytes;
use protocol::id::{JobId, TenantId};
use protocol::keys;
use protocol::receipt::DeletionReceipt;
use protocol::state::JobState;
use protocol::transition::Refusal;
use std::sync::Arc;

/// Keys asked for at once; S3's own limit.
const PAGE: usize = 1000;

/// A value and the entity tag under which it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Names this version for a conditional put.
    pub etag: String,
}

/// Why a job could not be read or changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JobStoreError {
    /// There is no such job.
    #[error("the job is not there")]
    Missing,
    /// The job was deleted by its owner.
    #[error("the job was deleted")]
    Deleted(DeletionReceipt),
    /// There is another job of that name already.
    #[error("the job exists already")]
    Exists,
    /// The job does not allow this change now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else changed the job again and again. A retry may help.
    #[error("the job was changed by others again and again")]
    Contended,
    /// The stored state cannot be read; it was written by another version or damaged.
    #[error("the state of the job is damaged")]
    Damaged,
    /// The object store failed. A retry may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The jobs in an object store.
#[derive(Clone)]
pub struct JobStore {
    store: Arc<dyn Store>,
}

impl JobStore {
    /// The jobs in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Stores a new job.
    ///
    /// # Errors
    /// [`JobStoreError::Exists`] if another job has its name; store errors.
    pub async fn create(&self, state: &JobState) -> Result<(), JobStoreError> {
        let bytes = to_bytes(state);
        let mut turns = Turns::default();
        while turns.next(&*self.store, &bytes).await {
            match self.put(state, bytes.clone(), PutCondition::IfAbsent).await {
                Ok(_) => return Ok(()),
                Err(StoreError::PreconditionFailed) => {
                    return match self.read(&state.tenant, &state.id).await {
                        Ok(stored) if stored.bytes == bytes => Ok(()),
                        Ok(_) | Err(JobStoreError::Deleted(_)) => Err(JobStoreError::Exists),
                        Err(error) => Err(error),
                    };
                }
                Err(StoreError::Unavailable { .. }) => turns.failed(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable { operation: "create a job", reason: "it kept failing".into() }.into())
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// [`JobStoreError::Missing`], [`JobStoreError::Damaged`]; store errors.
    pub async fn load(&self, tenant: &TenantId, job: &JobId) -> Result<Versioned<JobState>, JobStoreError> {
        let stored = self.read(tenant, job).await?;
        Ok(Versioned { value: stored.state, etag: stored.etag })
    }

    /// Applies `change` to the job, as often as it takes for nobody else to write in between, and returns the stored result. See the module's
    /// head for which changes may be made this way.
    ///
    /// # Errors
    /// [`JobStoreError::Refused`] with `change`'s own refusal; [`JobStoreError::Missing`], [`JobStoreError::Contended`]; store errors. After a
    /// store error the change may have been made or not.
    pub async fn update<F>(
        &self,
        tenant: &TenantId,
        job: &JobId,
        change: F,
    ) -> Result<Versioned<JobState>, JobStoreError>
    where
        F: Fn(&JobState) -> Result<JobState, Refusal> + Send + Sync,
    {
        self.replace(tenant, job, |stored, doubtful| match doubtful {
            true => Ok(None),
            false => change(stored).map(Some),
        })
        .await
    }

    /// The loop behind every change. `change` sees the stored state and whether it is the one that a put without an answer wanted; it returns
    /// the state to write, or none to be content with the stored one.
    pub(crate) async fn replace<F>(
        &self,
        tenant: &TenantId,
        job: &JobId,
        change: F,
    ) -> Result<Versioned<JobState>, JobStoreError>
    where
        F: Fn(&JobState, bool) -> Result<Option<JobState>, Refusal> + Send + Sync,
    {
        let (mut doubtful, mut latest) = (None::<Bytes>, Bytes::new());
        let (mut last, mut turns) = (JobStoreError::Contended, Turns::default());
        while turns.next(&*self.store, &latest).await {
            let stored = match self.read(tenant, job).await {
                Ok(stored) => stored,
                Err(error @ JobStoreError::Store(_)) => {
                    turns.failed();
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // Bytes, not values: numbers need not survive their decimal form to the last bit.
            let in_doubt = doubtful.as_ref() == Some(&stored.bytes);
            let Some(wanted) = change(&stored.state, in_doubt)? else {
                return Ok(Versioned { value: stored.state, etag: stored.etag });
            };
            let bytes = to_bytes(&wanted);
            latest = bytes.clone();
            match self.put(&wanted, bytes.clone(), PutCondition::IfMatch(stored.etag)).await {
                Ok(etag) => return Ok(Versioned { value: wanted, etag }),
                Err(StoreError::PreconditionFailed) => {
                    turns.lost();
                    last = JobStoreError::Contended;
                }
                Err(error) => {
                    turns.failed();
                    doubtful = Some(bytes);
                    last = error.into();
                }
            }
        }
        Err(last)
    }

    /// Puts a receipt in the place of a job that is over. Of a job that is buried already, its receipt is returned.
    ///
    /// # Errors
    /// [`JobStoreError::Missing`], [`JobStoreError::Contended`]; store errors.
    pub async fn bury(
        &self,
        tenant: &TenantId,
        job: &JobId,
        receipt: &DeletionReceipt,
    ) -> Result<DeletionReceipt, JobStoreError> {
        // A struct of plain strings and numbers always serialises.
        let bytes = Bytes::from(serde_json::to_vec(receipt).expect("a receipt is plain data"));
        let (mut last, mut turns) = (JobStoreError::Contended, Turns::default());
        while turns.next(&*self.store, &bytes).await {
            let etag = match self.read(tenant, job).await {
                Ok(stored) if stored.state.status.is_final() => stored.etag,
                // Put back to work meanwhile.
                Ok(_) => return Err(JobStoreError::Contended),
                Err(JobStoreError::Deleted(receipt)) => return Ok(receipt),
                Err(error) => return Err(error),
            };
            let key = keys::job_state(tenant, job);
            match self.store.put(&key, bytes.clone(), PutCondition::IfMatch(etag)).await {
                Ok(_) => return Ok(receipt.clone()),
                Err(StoreError::PreconditionFailed) => {
                    turns.lost();
                    last = JobStoreError::Contended;
                }
                Err(error) => {
                    turns.failed();
                    last = error.into();
                }
            }
        }
        Err(last)
    }

    /// Names of a tenant's jobs after `start_after`, at most `limit`, and whether more follow. Deleted or half-deleted ones are left out.
    ///
    /// # Errors
    /// Store errors.
    pub async fn list(
        &self,
        tenant: &TenantId,
        start_after: Option<&JobId>,
        limit: usize,
    ) -> Result<(Vec<JobId>, bool), JobStoreError> {
        let prefix = keys::jobs_prefix(tenant);
        // `0` is the byte after `/`: all of a job's objects come before it.
        let mut after = start_after.map(|job| format!("{prefix}{job}0"));
        let mut jobs = Vec::new();
        loop {
            let page = self.store.list(&prefix, after.as_deref(), PAGE).await?;
            for key in &page.keys {
                let name = key[prefix.len()..].strip_suffix("/state.json");
                if let Some(job) = name.and_then(|name| JobId::parse(name).ok()) {
                    jobs.push(job);
                }
            }
            if jobs.len() > limit || !page.more {
                let more = jobs.len() > limit;
                jobs.truncate(limit);
                return Ok((jobs, more));
            }
            after = page.keys.last().cloned();
        }
    }

    async fn read(&self, tenant: &TenantId, job: &JobId) -> Result<Stored, JobStoreError> {
        match self.store.get(&keys::job_state(tenant, job)).await {
            Ok(Object { bytes, etag }) => match serde_json::from_slice(&bytes) {
                Ok(state) => Ok(Stored { state, bytes, etag }),
                Err(_) => {
                    Err(serde_json::from_slice(&bytes).map_or(JobStoreError::Damaged, JobStoreError::Deleted))
                }
            },
            Err(StoreError::NotFound { .. }) => Err(JobStoreError::Missing),
            Err(error) => Err(error.into()),
        }
    }

    async fn put(
        &self,
        state: &JobState,
        bytes: Bytes,
        condition: PutCondition,
    ) -> Result<String, StoreError> {
        self.store.put(&keys::job_state(&state.tenant, &state.id), bytes, condition).await
    }
}

struct Stored {
    state: JobState,
    bytes: Bytes,
    etag: String,
}

fn to_bytes(state: &JobState) -> Bytes {
    // A struct of strings, numbers and lists with string keys always serialises.
    Bytes::from(serde_json::to_vec(state).expect("a job's state is plain data"))
}

#[cfg(test)]
#[path = "job_store_tests.rs"]
mod tests;
