//! Durable jobs: object store, queue, leases and the slice driver.
//!
//! * [`store`]: the [`Store`] trait with S3 and an in-memory double behind it; [`queue`]: the [`Queue`] trait with SQS and an in-process
//!   queue that survives a restart; [`clock`]: where time comes from.
//! * [`job_store`]: a job's state under compare-and-swap, and [`lease`], the right to run its next slice.
//! * [`ledger_store`]: what all jobs on one data set have released, charged before it is.
//! * [`runner`]: what a trainer must offer, and [`driver`], which turns one queue message into one committed slice, or into a part of one that
//!   several workers share.
//! * [`quota`]: what a tenant may have at a time. [`deletion`], [`redrive`], [`sweep`]: a job removed, a job put back to work, and what no message
//!   looks after.
//!
//! Invariant: nothing is released before its charge is in the data set's ledger.
//!
//! Invariant: a job's state is only ever written through [`JobStore`], hence through `protocol::transition` and a conditional put.

pub mod clock;
pub mod deletion;
pub mod driver;
mod fan_out;
pub mod job_store;
pub mod lease;
pub mod ledger_store;
pub mod queue;
pub mod quota;
pub mod redrive;
mod results;
pub mod runner;
mod slice;
pub mod store;
pub mod sweep;
#[cfg(test)]
mod test_jobs;

pub use clock::{Clock, ManualClock, SystemClock};
pub use deletion::{DeletionError, delete_job};
pub use driver::{Attempt, DriverContext, DriverError, Limits, Outcome, run_message, settle_dead_letter};
pub use job_store::{JobStore, JobStoreError, Versioned};
pub use ledger_store::{LedgerStore, LedgerStoreError};
#[cfg(any(test, feature = "test-support"))]
pub use queue::conformance as queue_conformance;
pub use queue::{
    DeadLetters, Delivery, LocalDeadLetters, LocalQueue, LocalQueueConfig, Queue, QueueConsumer, QueueError,
};
#[cfg(feature = "aws")]
pub use queue::{SqsDeadLetters, SqsQueue};
pub use quota::{QuotaError, Quotas, Usage, UsageStore};
pub use redrive::{RedriveError, redrive_job};
pub use runner::{LiveProgress, Shards, SliceBudget, SliceError, SliceResult, SliceRunner, StopFlag};
#[cfg(feature = "aws")]
pub use store::S3Store;
#[cfg(any(test, feature = "test-support"))]
pub use store::{FailingStore, FaultPlan, conformance, link_conformance};
pub use store::{Listing, MemoryStore, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError};
pub use sweep::{SweepError, SweepLimits, Swept, sweep};
