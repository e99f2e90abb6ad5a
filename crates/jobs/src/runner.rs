//! What the driver asks of a trainer: run one slice of a job, from its last checkpoint to a new one or to the end.

use bytes::Bytes;
use futures::stream::BoxStream;
use protocol::error::ErrorObject;
use protocol::state::{JobState, Report};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a slice may take.
#[derive(Debug, Clone)]
pub struct SliceBudget {
    /// When the runner must have returned, on the clock's monotonic time.
    pub deadline: Duration,
    /// Raised when the job was cancelled, failed or taken over: whatever the slice still does is thrown away.
    pub stop: StopFlag,
    /// Where the runner says, after each step, how far it is.
    pub live: LiveProgress,
}

/// The latest word of a running slice on its progress, shared between the driver and the runner's threads.
#[derive(Debug, Clone, Default)]
pub struct LiveProgress(Arc<Mutex<Option<Report>>>);

impl LiveProgress {
    /// Says how far the slice is, with all losses that it has released so far.
    pub fn set(&self, report: Report) {
        *self.lock() = Some(report);
    }

    /// What was said since the last call.
    pub fn take(&self) -> Option<Report> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Report>> {
        // The option is replaced whole, so a panic elsewhere leaves it valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flag that is raised once, shared between the driver and the runner's threads.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a slice ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SliceResult {
    /// More steps remain. A slice makes at least one step, unless it was stopped.
    Paused {
        /// From where the next slice goes on.
        checkpoint: Vec<u8>,
        /// How far the job is.
        report: Report,
    },
    /// All steps are done.
    Finished {
        /// The adapter folder, as names and contents.
        files: Vec<(String, Vec<u8>)>,
        /// Final progress.
        report: Report,
    },
}

/// Why a slice failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SliceError {
    /// The job can never succeed; its owner must change something.
    #[error("{}", .0.message)]
    Permanent(ErrorObject),
    /// Trying again may help. The text goes to the log, so it holds no user text.
    #[error("{0}")]
    Retryable(String),
}

/// Runs slices.
#[async_trait::async_trait]
pub trait SliceRunner: Send + Sync {
    /// Runs `job` on from `checkpoint` (none: from the beginning) within `budget`. The same job and checkpoint must release the same noise again.
    async fn run(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError>;

    /// Computes shard `shard` of the step after `checkpoint`: the noised sum of its part of the step's batch. Asked again, it must draw the same
    /// noise.
    async fn shard(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shard: u32,
        budget: SliceBudget,
    ) -> Result<Vec<u8>, SliceError>;

    /// Makes the step after `checkpoint` from all its shards.
    async fn reduce(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shards: Shards<'_>,
    ) -> Result<SliceResult, SliceError>;
}

/// All shards of one step, in their order, read as they are asked for: together they may be more than memory holds.
pub type Shards<'a> = BoxStream<'a, Result<Bytes, SliceError>>;
