//! The worker: takes deliveries from the queue and hands them to the very handler that Lambda calls, as the very events that SQS sends. It runs in
//! the service's own process or in one of its own ([`crate::worker_process`]).

use crate::config::{QUOTAS, ServeConfig};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use finetune_function::{FinetuneRunner, Settings, Worker, handle, handle_dead_letters};
use jobs::{Clock, Delivery, DriverContext, Limits, LocalQueueConfig, Queue, QueueConsumer, Store};
use protocol::signature::CertificateKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a slice may take beyond its time: a model's loading, one long step, its checkpoint. Nobody waits for a lease to run out here, since the
/// next start releases it, so there is no harm in a long one.
const LEASE_MARGIN_SECONDS: u64 = 1800;

/// How much longer than a lease its message stays hidden.
const VISIBILITY_MARGIN_SECONDS: u64 = 60;

/// Deliveries of one message before its job is failed, as in the deployment template.
const MAX_RECEIVES: u32 = 5;

/// Wait before a message that failed is tried again, times the number of tries.
const RETRY_SECONDS: u64 = 10;

/// How often a running slice looks whether its job was cancelled; a read from this machine's own disk.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long one call waits for a message; SQS' own bound.
const WAIT: Duration = Duration::from_secs(20);

/// Pause when the queue cannot be reached, which only the end of the service explains.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(1);

/// What one worker has to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Threads that train.
    pub(crate) threads: usize,
    /// How long a slice runs, in seconds.
    pub(crate) slice_seconds: u64,
    /// Where a model's weights are written to be mapped.
    pub(crate) scratch: PathBuf,
}

/// Where messages come from.
pub(crate) struct Sources {
    /// The queue.
    pub(crate) jobs: Arc<dyn QueueConsumer>,
    /// What was received too often.
    pub(crate) dead_letters: Arc<dyn QueueConsumer>,
}

fn lease_seconds(slice_seconds: u64) -> u64 {
    slice_seconds + LEASE_MARGIN_SECONDS
}

/// How the queue behaves for these settings.
pub(crate) fn queue_config(config: &ServeConfig) -> LocalQueueConfig {
    let visible_after = lease_seconds(config.slice_seconds) + VISIBILITY_MARGIN_SECONDS;
    LocalQueueConfig { visibility_timeout: Duration::from_secs(visible_after), max_receives: MAX_RECEIVES }
}

/// The trainer with all it needs.
pub(crate) fn worker(
    share: Share,
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    signing_key: CertificateKey,
) -> Worker {
    // A checkpoint is written to this machine's own disk; a tenth of the slice is plenty, also for very short ones.
    let margin = Duration::from_millis(100 * share.slice_seconds);
    let settings = Settings {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        threads: share.threads,
        margin,
        scratch: Some(share.scratch),
        signing_key: Some(signing_key),
    };
    let runner = Arc::new(FinetuneRunner::new(store.clone(), clock.clone(), settings));
    let limits = Limits {
        lease_seconds: lease_seconds(share.slice_seconds),
        max_receives: MAX_RECEIVES,
        watch_interval: WATCH_INTERVAL,
        quotas: QUOTAS,
        ..Limits::default()
    };
    Worker { context: DriverContext { store, queue, clock, runner, limits }, metrics: None }
}

/// Works until `stop` changes; the slice that runs then is finished first (its deadline is up to [`crate::drain`]).
pub(crate) async fn work(worker: Worker, sources: Sources, slice: Duration, stop: watch::Receiver<bool>) {
    tokio::join!(
        consume(&worker, &*sources.jobs, Task::Slice(slice), stop.clone()),
        consume(&worker, &*sources.dead_letters, Task::DeadLetter, stop),
    );
}

/// What a message asks for.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// A slice of at most this length.
    Slice(Duration),
    /// The end of a job whose message was received too often.
    DeadLetter,
}

async fn consume(worker: &Worker, consumer: &dyn QueueConsumer, task: Task, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        // A receiver that is dropped may have taken a message all the same; it stays hidden until the queue shows it again.
        let received = tokio::select! {
            biased;
            _ = stop.changed() => break,
            received = consumer.receive(WAIT) => received,
        };
        match received {
            Ok(None) => {}
            Ok(Some(delivery)) => {
                let failed = !respond(worker, &delivery, task).await.batch_item_failures.is_empty();
                settle(consumer, &delivery, failed).await;
            }
            Err(error) => {
                tracing::warn!(%error, "no message could be received");
                tokio::select! {
                    _ = stop.changed() => break,
                    () = worker.context.clock.sleep(UNREACHABLE_PAUSE) => {}
                }
            }
        }
    }
}

async fn respond(worker: &Worker, delivery: &Delivery, task: Task) -> SqsBatchResponse {
    match task {
        Task::Slice(slice) => handle(worker, event(delivery), worker.context.clock.monotonic() + slice).await,
        Task::DeadLetter => handle_dead_letters(worker, event(delivery)).await,
    }
}

async fn settle(consumer: &dyn QueueConsumer, delivery: &Delivery, failed: bool) {
    let result = if failed {
        let wait = RETRY_SECONDS * u64::from(delivery.receive_count);
        consumer.nack(&delivery.receipt, Duration::from_secs(wait)).await
    } else {
        consumer.ack(&delivery.receipt).await
    };
    if let Err(error) = result {
        // The message comes again when it is visible again, which every handler is made for.
        tracing::error!(%error, "a message could not be settled");
    }
}

/// The delivery as Lambda would get it from SQS.
fn event(delivery: &Delivery) -> SqsEvent {
    let mut message = SqsMessage::default();
    message.message_id = Some(delivery.message_id.clone());
    message.receipt_handle = Some(delivery.receipt.clone());
    message.body = Some(delivery.body.clone());
    message.event_source = Some("aws:sqs".into());
    let count = delivery.receive_count.to_string();
    message.attributes.insert("ApproximateReceiveCount".into(), count);
    let mut event = SqsEvent::default();
    event.records = vec![message];
    event
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
