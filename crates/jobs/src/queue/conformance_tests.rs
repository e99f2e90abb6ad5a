//! The queue in this process passes the suite; queues that are broken on purpose do not.

use super::*;
use crate::queue::{LocalDeadLetters, LocalQueue, LocalQueueConfig, QueueError};

const CONFIG: LocalQueueConfig =
    LocalQueueConfig { visibility_timeout: Duration::from_secs(60), max_receives: 3 };

fn subject(broken: impl FnOnce(Arc<LocalQueue>) -> Arc<dyn QueueConsumer>) -> Subject {
    let clock = Arc::new(ManualClock::new(1_000));
    of(Arc::new(LocalQueue::in_memory(CONFIG, clock.clone())), clock, broken)
}

fn of(
    queue: Arc<LocalQueue>,
    clock: Arc<ManualClock>,
    broken: impl FnOnce(Arc<LocalQueue>) -> Arc<dyn QueueConsumer>,
) -> Subject {
    Subject {
        consumer: broken(queue.clone()),
        dead_letters: Arc::new(LocalDeadLetters::of(queue.clone())),
        queue,
        visibility_timeout: CONFIG.visibility_timeout,
        max_receives: CONFIG.max_receives,
        time: Time::Manual(clock),
    }
}

#[tokio::test]
async fn the_queue_in_memory_conforms() {
    run(&subject(|queue| queue)).await;
}

#[tokio::test]
async fn the_queue_with_a_journal_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let queue = LocalQueue::open(&folder.path().join("journal"), CONFIG, clock.clone()).unwrap();
    run(&of(Arc::new(queue), clock, |queue| queue)).await;
}

/// What a broken queue does in place of what it should.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Visibility,
    Counts,
    Acknowledgements,
    Receipts,
}

struct Broken(Arc<LocalQueue>, Fault);

#[async_trait::async_trait]
impl QueueConsumer for Broken {
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        let received = QueueConsumer::receive(&*self.0, wait).await?;
        Ok(received.map(|delivery| match self.1 {
            Fault::Visibility => {
                self.0.nack(&delivery.receipt, Duration::ZERO).unwrap();
                delivery
            }
            Fault::Counts => Delivery { receive_count: 1, ..delivery },
            _ => delivery,
        }))
    }

    async fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        match self.1 {
            Fault::Acknowledgements => Ok(()),
            // Takes any receipt for the latest one: a message is `number/count`.
            Fault::Receipts => {
                let number = receipt.split('/').next().unwrap();
                (1..=9).try_for_each(|count| self.0.ack(&format!("{number}/{count}")))
            }
            _ => self.0.ack(receipt),
        }
    }

    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        self.0.nack(receipt, delay)
    }
}

async fn run_broken(fault: Fault) {
    run(&subject(|queue| Arc::new(Broken(queue, fault)))).await;
}

#[tokio::test]
#[should_panic(expected = "a received message is hidden")]
async fn a_queue_that_forgets_visibility_is_noticed() {
    run_broken(Fault::Visibility).await;
}

#[tokio::test]
#[should_panic(expected = "each delivery counts one more")]
async fn a_queue_that_loses_counts_is_noticed() {
    run_broken(Fault::Counts).await;
}

#[tokio::test]
#[should_panic(expected = "what was acknowledged never comes again")]
async fn a_queue_that_forgets_acknowledgements_is_noticed() {
    run_broken(Fault::Acknowledgements).await;
}

#[tokio::test]
#[should_panic(expected = "a message that is visible is received")]
async fn a_queue_that_takes_old_receipts_is_noticed() {
    run_broken(Fault::Receipts).await;
}

#[tokio::test]
#[should_panic(expected = "a received message is hidden")]
async fn a_queue_without_a_visibility_timeout_is_noticed() {
    let clock = Arc::new(ManualClock::new(1_000));
    let config = LocalQueueConfig { visibility_timeout: Duration::ZERO, ..CONFIG };
    run(&of(Arc::new(LocalQueue::in_memory(config, clock.clone())), clock, |queue| queue)).await;
}
