//! The queue of slices: [`SqsQueue`] on AWS, [`LocalQueue`] in one process.
//!
//! Both deliver at least once: a message that was sent may come twice, late and out of order, and comes again until it is deleted. The driver
//! is written for that; neither queue is asked for more. [`Queue`] is the sender's side and [`QueueConsumer`] the receiver's, which on AWS is
//! mostly Lambda's event source mapping. All pass [`conformance`], which states the contract as executable checks.

#[cfg(any(test, feature = "test-support"))]
pub mod conformance;
mod journal;
mod local;
mod local_consumer;
mod order;
#[cfg(feature = "aws")]
mod sqs;

pub use local::{LocalQueue, LocalQueueConfig};
pub use local_consumer::LocalDeadLetters;
#[cfg(feature = "aws")]
pub use sqs::{SqsDeadLetters, SqsQueue};

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

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What was sent.
    pub body: String,
    /// Name of the message, the same at every delivery.
    pub message_id: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// Names this delivery for [`QueueConsumer::ack`] and [`QueueConsumer::nack`]; the next delivery makes it void.
    pub receipt: String,
}

/// Where messages are sent.
#[async_trait::async_trait]
pub trait Queue: Send + Sync {
    /// Sends `message`, to be seen no sooner than after `delay` (at most 15 minutes, SQS' own limit).
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError>;
}

/// Where messages are received. A received message is hidden from all receivers for the queue's visibility timeout, and comes again after it
/// unless it was acknowledged.
#[async_trait::async_trait]
pub trait QueueConsumer: Send + Sync {
    /// The next message; none if there was none for `wait` (at most 20 s, SQS' own limit).
    ///
    /// # Errors
    /// When the queue cannot be reached. A message that was taken all the same comes again after its visibility timeout.
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError>;

    /// Deletes a received message. A void receipt does nothing: the later delivery decides.
    ///
    /// # Errors
    /// When the queue cannot be reached; the message may come again.
    async fn ack(&self, receipt: &str) -> Result<(), QueueError>;

    /// Gives a received message back; it is visible again after `delay` (at most 12 hours, SQS' own limit). A void receipt does nothing.
    ///
    /// # Errors
    /// When the queue cannot be reached; the message then comes again after the visibility timeout.
    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError>;
}

/// The messages that were received too often. Received here, they come again without limit.
#[async_trait::async_trait]
pub trait DeadLetters: QueueConsumer {
    /// Sends every dead letter that is visible now to its queue again, as a new message with the same body; returns how many these were.
    ///
    /// # Errors
    /// When the queue cannot be reached; what was not moved is still a dead letter, and one message may then be both.
    async fn redrive(&self) -> Result<usize, QueueError>;
}
