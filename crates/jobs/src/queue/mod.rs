//! The queue of slices: [`SqsQueue`] on AWS, [`LocalQueue`] in one process.
//!
//! Both deliver at least once: a message that was sent may come twice, late and out of order, and comes again until it is deleted. The driver
//! is written for that; neither queue is asked for more.

mod journal;
mod local;
#[cfg(feature = "aws")]
mod sqs;

pub use local::{Delivery, LocalQueue, LocalQueueConfig};
#[cfg(feature = "aws")]
pub use sqs::SqsQueue;

use protocol::message::SliceMessage;
use std::time::Duration;

/// Why a message could not be sent or taken. A retry may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue could not be reached or refused; whether a message was taken is unknown.
    #[error("the queue could not {operation}: {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// A word for programs, never content.
        reason: String,
    },
}

/// Where messages are sent.
#[async_trait::async_trait]
pub trait Queue: Send + Sync {
    /// Sends `message`, to be seen no sooner than after `delay` (at most 15 minutes, SQS' own limit).
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError>;
}
