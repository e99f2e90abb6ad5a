//! Looking after what no message looks after: jobs whose message was lost, and objects that nothing refers to.
//!
//! Neither should happen, for messages come again until their work is done, and whoever finds a job over tidies it up. But queues drop messages
//! after some days, and a process may die between its last write and the moment it would have learnt that the write was in vain. So once in a while
//! all jobs are looked at:
//!
//! | found | done |
//! |---|---|
//! | unfinished, nobody has worked on it for long | its message is sent again; a second one does no harm |
//! | over, but with checkpoints, shards or results of others | tidied up, its account settled |
//! | deleted, or never there, but with objects | purged |
//! | place that a job which is over still takes in its tenant's quota | given back |
//! | upload that was open too long; file whose content never came | removed |
//!
//! Sweeps may overlap with each other and with everything else: each of these is what somebody else might do at the same moment.

use crate::clock::Clock;
use crate::job_store::{JobStore, JobStoreError};
use crate::queue::{Queue, QueueError};
use crate::quota::UsageStore;
use crate::results;
use crate::store::{Store, StoreError};
use protocol::api::{FileMeta, PURPOSE_RESULTS, UploadObject};
use protocol::id::{JobId, TenantId};
use protocol::keys;
use protocol::message::SliceMessage;
use protocol::state::JobState;
use std::sync::Arc;
use std::time::Duration;

/// Keys listed at a time; S3's own limit.
const PAGE: usize = 1000;

/// When something counts as left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepLimits {
    /// Seconds without a sign of life after which a job's message is sent again: longer than a message is hidden while its slice runs.
    pub stalled_seconds: u64,
    /// Seconds after which an upload that was not completed, or a file without content, is removed: longer than its links work.
    pub abandoned_seconds: u64,
}

impl Default for SweepLimits {
    fn default() -> Self {
        // The deployment template hides messages for 5,400 s; links work for 15 minutes, uploads are open for an hour.
        Self { stalled_seconds: 7_200, abandoned_seconds: 24 * 3_600 }
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs looked at.
    pub jobs: u64,
    /// Messages sent again.
    pub resent: u64,
    /// Jobs that were tidied up, or whose remains were purged.
    pub tidied: u64,
    /// Uploads and files removed.
    pub abandoned: u64,
    /// Objects that could not be seen to; the next sweep tries again.
    pub failed: u64,
}

/// Why a sweep ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// The tenants' objects could not be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks at all tenants' objects once.
///
/// # Errors
/// Only when they cannot be listed; what fails for one of them is logged, counted and left for the next sweep.
pub async fn sweep(
    store: &Arc<dyn Store>,
    queue: &dyn Queue,
    clock: &dyn Clock,
    limits: SweepLimits,
) -> Result<Swept, SweepError> {
    clear_usage(store, clock.now()).await?;
    let sweeper = Sweeper { store, jobs: JobStore::new(Arc::clone(store)), queue, now: clock.now(), limits };
    let mut swept = Swept::default();
    let (mut after, mut folder) = (None, None);
    loop {
        let page = store.list("tenants/", after.as_deref(), PAGE).await?;
        for key in &page.keys {
            // Keys of one folder follow each other.
            let found = Folder::of(key);
            if found.is_some() && found != folder {
                if let Some(found) = &found {
                    sweeper.look(found, &mut swept).await;
                }
                folder = found;
            }
        }
        if !page.more {
            return Ok(swept);
        }
        after = page.keys.last().cloned();
    }
}

/// Drops reservations of all tenants' jobs that are over.
async fn clear_usage(store: &Arc<dyn Store>, now: u64) -> Result<(), StoreError> {
    let usage = UsageStore::new(Arc::clone(store));
    let mut after = None;
    loop {
        let page = store.list(keys::USAGE_PREFIX, after.as_deref(), PAGE).await?;
        for key in &page.keys {
            let name = key[keys::USAGE_PREFIX.len()..].strip_suffix(".json");
            let Some(tenant) = name.and_then(|name| TenantId::parse(name).ok()) else { continue };
            if let Err(error) = usage.clear(&tenant, now).await {
                tracing::warn!(%error, "a tenant's usage could not be cleared; the next sweep tries again");
            }
        }
        if !page.more {
            return Ok(());
        }
        after = page.keys.last().cloned();
    }
}

/// A job, a file or an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Folder {
    Job(TenantId, JobId),
    Upload(String),
    File(String),
}

impl Folder {
    /// The folder that a key below `tenants/` lies in.
    fn of(key: &str) -> Option<Self> {
        let mut parts = key.split('/').skip(1);
        let (tenant, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        match kind {
            "jobs" => Some(Self::Job(TenantId::parse(tenant).ok()?, JobId::parse(name).ok()?)),
            "uploads" => Some(Self::Upload(format!("tenants/{tenant}/uploads/{name}/"))),
            "files" => Some(Self::File(format!("tenants/{tenant}/files/{name}/"))),
            _ => None,
        }
    }
}

/// Why one folder could not be seen to.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Jobs(#[from] JobStoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

struct Sweeper<'a> {
    store: &'a Arc<dyn Store>,
    jobs: JobStore,
    queue: &'a dyn Queue,
    now: u64,
    limits: SweepLimits,
}

impl Sweeper<'_> {
    async fn look(&self, folder: &Folder, swept: &mut Swept) {
        let done = match folder {
            Folder::Job(tenant, job) => self.job(tenant, job, swept).await,
            Folder::Upload(prefix) => self.upload(prefix, swept).await,
            Folder::File(prefix) => self.file(prefix, swept).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "something that was left behind could not be seen to");
            swept.failed += 1;
        }
    }

    async fn job(&self, tenant: &TenantId, job: &JobId, swept: &mut Swept) -> Result<(), LookError> {
        swept.jobs += 1;
        match self.jobs.load(tenant, job).await {
            Ok(stored) if stored.value.status.is_final() => self.tidy(&stored.value, swept).await,
            Ok(stored) if self.is_stalled(&stored.value) => {
                tracing::warn!(%job, "nobody has worked on this job for long; it is asked for again");
                let message = SliceMessage::whole(tenant, job, stored.value.next_slice);
                self.queue.send(&message, Duration::ZERO).await?;
                swept.resent += 1;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => {
                let purged = results::purge(&**self.store, tenant, job).await?;
                swept.tidied += u64::from(purged > 0);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn tidy(&self, job: &JobState, swept: &mut Swept) -> Result<(), LookError> {
        if results::has_leftovers(&**self.store, job).await? {
            results::tidy(self.store, &self.jobs, &job.tenant, &job.id).await;
            swept.tidied += 1;
        }
        Ok(())
    }

    fn is_stalled(&self, job: &JobState) -> bool {
        let told = job.events.last().map_or(job.created_at, |event| event.at);
        let alive = told.max(job.lease.expires_at.unwrap_or(0));
        self.now >= alive.saturating_add(self.limits.stalled_seconds)
    }

    fn is_abandoned(&self, since: u64) -> bool {
        self.now >= since.saturating_add(self.limits.abandoned_seconds)
    }

    async fn upload(&self, prefix: &str, swept: &mut Swept) -> Result<(), LookError> {
        // Parts without an upload belong to nobody: they go with the retention rule, for nothing says how old they are.
        let Some(upload) = self.read::<UploadObject>(prefix).await? else { return Ok(()) };
        if upload.status == "pending" && self.is_abandoned(upload.expires_at) {
            self.store.purge(prefix, None).await?;
            swept.abandoned += 1;
        }
        Ok(())
    }

    async fn file(&self, prefix: &str, swept: &mut Swept) -> Result<(), LookError> {
        let Some(file) = self.read::<FileMeta>(prefix).await? else { return Ok(()) };
        let missing = matches!(self.store.head(&file.content_key).await, Err(StoreError::NotFound { .. }));
        // The content of a result is there before its entry, so an entry without one is what a late worker left.
        if missing && (file.purpose == PURPOSE_RESULTS || self.is_abandoned(file.created_at)) {
            self.store.purge(prefix, None).await?;
            swept.abandoned += 1;
        }
        Ok(())
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> Result<Option<T>, StoreError> {
        match self.store.get(&format!("{prefix}meta.json")).await {
            Ok(object) => Ok(serde_json::from_slice(&object.bytes).ok()),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
