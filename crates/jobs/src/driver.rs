//! From one queue message to one committed slice.
//!
//! ```text
//! acquire the lease ─▶ charged? ─▶ run the slice ─▶ write the checkpoint ─▶ commit (one CAS) ─▶ send the next message ─▶ delete the old checkpoint
//!                                                └▶ charged? ─▶ publish (one CAS) ─▶ write the adapter ─▶ succeed (one CAS) ─▶ settle, tidy up
//! ```
//!
//! A crash between any two arrows is repaired by the message, which comes again because only a returned [`Outcome`] deletes it:
//!
//! * before the commit: the lease has run out by then (the visibility timeout is longer), so the slice is run again under a new epoch. The noise
//!   is replayed from the job's seed, and what the old epoch wrote is never referred to.
//! * after the commit: the message is for a slice that is done. If it is a redelivery and nobody holds the lease, the next message may never have
//!   been sent, so it is sent (again); a second one does no harm.
//!
//! A message that meets a live lease is given back, not deleted. Queues deliver at least once, so it may be a second delivery of the very message
//! that the holder works on, and deleting that one would leave the job without a message should the holder crash. It comes again after the lease
//! has run out, finds its slice done, and is then dropped if somebody already works on the next one. So superfluous messages die out.
//!
//! Invariant: nothing that a fenced worker writes is referred to by the job, for all its keys and file ids hold its own epoch.

use crate::clock::Clock;
use crate::fan_out;
use crate::job_store::{JobStore, JobStoreError};
use crate::lease;
use crate::queue::{Queue, QueueError};
use crate::quota::{QuotaError, Quotas, UsageStore};
use crate::results;
use crate::runner::SliceRunner;
use crate::slice::Slice;
use crate::store::{Store, StoreError};
use protocol::error::ErrorObject;
use protocol::keys;
use protocol::message::SliceMessage;
use protocol::state::{JobState, SERVICE_FAULT, Status};
use protocol::transition::{Change, Refusal, transition};
use std::sync::Arc;
use std::time::Duration;

/// Bounds of a job's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a lease lives without a commit, in seconds: at least a function's time limit, and less than the queue's visibility timeout.
    pub lease_seconds: u64,
    /// Slices of one job. A function that sends itself messages needs a bound of its own.
    pub max_slices: u64,
    /// Deliveries of one message; the job fails when the last of them does.
    pub max_receives: u32,
    /// How often a running slice looks whether its job was cancelled.
    pub watch_interval: Duration,
    /// What a tenant may have at a time, unless its operator has made exceptions.
    pub quotas: Quotas,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Lambda's longest time limit is 900 s; one minute on top for clocks that differ.
            lease_seconds: 960,
            // At 14 minutes each: more than three months of training, far beyond any sensible job.
            max_slices: 10_000,
            // The queue's maxReceiveCount in the deployment template.
            max_receives: 5,
            // One small read per ten seconds of training costs next to nothing and stops a cancelled job soon enough.
            watch_interval: Duration::from_secs(10),
            quotas: Quotas::default(),
        }
    }
}

/// What the driver works with.
#[derive(Clone)]
pub struct DriverContext {
    /// Jobs, checkpoints and results.
    pub store: Arc<dyn Store>,
    /// Where the next slice is asked for.
    pub queue: Arc<dyn Queue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The trainer.
    pub runner: Arc<dyn SliceRunner>,
    /// Bounds.
    pub limits: Limits,
}

/// One delivery of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How often the message was received, this time included.
    pub receive_count: u32,
    /// When the slice must be over, on the clock's monotonic time.
    pub deadline: Duration,
}

/// What became of a message; in each case it can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The slice is committed and the next one asked for.
    Continued,
    /// The slice's missing shards are asked for.
    FannedOut,
    /// The shard is stored.
    ShardDone,
    /// The job waits until its tenant has functions to spare; its message comes again.
    Postponed,
    /// The job has succeeded.
    Succeeded,
    /// The job has failed.
    Failed,
    /// The job was over before, or was cancelled meanwhile.
    Finished,
    /// The slice was done before.
    Stale {
        /// True when the next slice was asked for again.
        resent: bool,
    },
    /// There is no such job, or no such slice of it yet.
    Dropped,
}

/// Why a message must come again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DriverError {
    /// Another worker holds the lease.
    #[error("another worker holds the lease until {until}")]
    Busy {
        /// Unix seconds.
        until: u64,
    },
    /// Another worker took the lease over; this slice was in vain.
    #[error("another worker has taken the job over")]
    Fenced,
    /// The trainer failed for now.
    #[error("the slice failed and will be tried again: {0}")]
    Slice(String),
    /// The job's state could not be read or written.
    #[error(transparent)]
    Jobs(JobStoreError),
    /// The data set's ledger could not be read or written.
    #[error(transparent)]
    Ledger(crate::ledger_store::LedgerStoreError),
    /// The tenant's usage could not be read or written.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A checkpoint or result could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The next slice could not be asked for.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Runs the slice that `message` asks for, if it is due, and commits its result.
///
/// # Errors
/// A [`DriverError`] when the message must come again. Nothing is half-done: see the module's head.
pub async fn run_message(
    context: &DriverContext,
    message: &SliceMessage,
    attempt: Attempt,
) -> Result<Outcome, DriverError> {
    let jobs = JobStore::new(Arc::clone(&context.store));
    if let Some(shard) = message.shard {
        return fan_out::run_shard(context, &jobs, message, shard, attempt).await;
    }
    if !may_run(context, &jobs, message).await? {
        // A message of its own, so that waiting counts as no failed attempt.
        context.queue.send(message, POSTPONED).await?;
        return Ok(Outcome::Postponed);
    }
    let now = context.clock.now();
    match lease::acquire(&jobs, message, now + context.limits.lease_seconds, now).await {
        Ok(held) => Slice { context, jobs: &jobs, job: held.value }.drive(attempt).await,
        Err(error) => not_due(context, &jobs, message, error).await,
    }
}

/// How long a job waits before it looks again whether its tenant has functions to spare.
const POSTPONED: Duration = Duration::from_secs(60);

/// Whether the job has started, or starts now. What cannot be read is left to the lease, which says what is wrong with it.
async fn may_run(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
) -> Result<bool, DriverError> {
    match jobs.load(&message.tenant, &message.job).await {
        Ok(stored) if stored.value.status == Status::Queued => {
            let usage = UsageStore::new(Arc::clone(&context.store));
            let (workers, quotas) = (stored.value.spec.dp_lora.workers, context.limits.quotas);
            Ok(usage.start(&message.tenant, &message.job, workers, quotas, context.clock.now()).await?)
        }
        _ => Ok(true),
    }
}

/// Settles a message that was received too often: fails its job, unless the job is over, goes on without it, or somebody works on it.
///
/// # Errors
/// A [`DriverError`] when the message must come again.
pub async fn settle_dead_letter(
    context: &DriverContext,
    message: &SliceMessage,
) -> Result<Outcome, DriverError> {
    let jobs = JobStore::new(Arc::clone(&context.store));
    if let Some(shard) = message.shard {
        return fan_out::settle(context, &jobs, message, shard).await;
    }
    let now = context.clock.now();
    let fail = |state: &JobState| {
        let (slice, next) = (message.slice, state.next_slice);
        if slice < next && !state.status.is_final() {
            return Err(Refusal::StaleSlice { slice, next });
        }
        transition(state, Change::Fail { epoch: None, error: kept_failing() }, now)
    };
    match jobs.update(&message.tenant, &message.job, fail).await {
        Ok(_) => {
            tracing::error!(job = %message.job, slice = message.slice, "a job was failed by its dead letter");
            results::tidy(&context.store, &jobs, &message.tenant, &message.job).await;
            Ok(Outcome::Failed)
        }
        Err(error) => not_due(context, &jobs, message, error).await,
    }
}

/// What the owner reads when a job failed on our side.
pub(crate) fn kept_failing() -> ErrorObject {
    ErrorObject {
        message: "Training failed several times in a row for a reason on the service's side. No adapter was released. Ask the service's \
                  operator to put the job back to work, or create it again."
            .into(),
        r#type: "server_error".into(),
        param: None,
        code: Some(SERVICE_FAULT.into()),
    }
}

/// What to do with a message whose slice could not be taken.
async fn not_due(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
    error: JobStoreError,
) -> Result<Outcome, DriverError> {
    let (job, slice) = (&message.job, message.slice);
    match error {
        JobStoreError::Missing | JobStoreError::Deleted(_) => {
            tracing::warn!(%job, slice, "a message for a job that is not there is dropped");
            results::tidy(&context.store, jobs, &message.tenant, job).await;
            Ok(Outcome::Dropped)
        }
        JobStoreError::Refused(Refusal::Finished) => {
            // A job that was cancelled between two slices has left a checkpoint behind.
            results::tidy(&context.store, jobs, &message.tenant, job).await;
            Ok(Outcome::Finished)
        }
        JobStoreError::Refused(Refusal::LeaseHeld { until }) => Err(DriverError::Busy { until }),
        JobStoreError::Refused(Refusal::StaleSlice { .. }) => resend(context, jobs, message).await,
        JobStoreError::Refused(Refusal::FutureSlice { next, .. }) => {
            tracing::error!(%job, slice, next, "a message for a slice that is not due is dropped; nobody should send one");
            Ok(Outcome::Dropped)
        }
        other => Err(DriverError::Jobs(other)),
    }
}

/// Asks again for the slice that is due, unless somebody works on it (whose own message is then still in the queue).
async fn resend(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
) -> Result<Outcome, DriverError> {
    let state = match jobs.load(&message.tenant, &message.job).await {
        Ok(stored) => stored.value,
        Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => return Ok(Outcome::Dropped),
        Err(error) => return Err(DriverError::Jobs(error)),
    };
    if state.status.is_final() || state.lease.is_live(context.clock.now()) {
        return Ok(Outcome::Stale { resent: false });
    }
    if state.spec.dp_lora.workers > 1 {
        let asked = keys::shards_asked(&state.tenant, &state.id, state.next_slice);
        match context.store.head(&asked).await {
            Ok(_) => return Ok(Outcome::Stale { resent: false }),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let next = SliceMessage::whole(&message.tenant, &message.job, state.next_slice);
    context.queue.send(&next, Duration::ZERO).await?;
    Ok(Outcome::Stale { resent: true })
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
