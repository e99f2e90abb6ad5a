//! The receiver's side of a [`LocalQueue`], as SQS has it: the queue, and beside it the queue of its dead letters.

use super::{DeadLetters, Delivery, LocalQueue, QueueConsumer, QueueError};
use std::sync::Arc;
use std::time::Duration;

#[async_trait::async_trait]
impl QueueConsumer for LocalQueue {
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        // An elapsed wait means that no message came.
        Ok(tokio::time::timeout(wait, LocalQueue::receive(self)).await.ok())
    }

    async fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        LocalQueue::ack(self, receipt)
    }

    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        LocalQueue::nack(self, receipt, delay)
    }
}

/// The dead letters of a [`LocalQueue`].
#[derive(Clone)]
pub struct LocalDeadLetters(Arc<LocalQueue>);

impl LocalDeadLetters {
    /// Those of `queue`.
    pub fn of(queue: Arc<LocalQueue>) -> Self {
        Self(queue)
    }
}

#[async_trait::async_trait]
impl QueueConsumer for LocalDeadLetters {
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        Ok(tokio::time::timeout(wait, self.0.receive_dead_letter()).await.ok())
    }

    async fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        self.0.ack(receipt)
    }

    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        self.0.nack(receipt, delay)
    }
}

#[async_trait::async_trait]
impl DeadLetters for LocalDeadLetters {
    async fn redrive(&self) -> Result<usize, QueueError> {
        self.0.redrive()
    }
}
