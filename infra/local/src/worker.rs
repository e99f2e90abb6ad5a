//! The worker: takes deliveries from the queue and hands them to the very handler that Lambda calls, as the very events that SQS sends.

use crate::config::ServeConfig;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use finetune_function::{FinetuneRunner, Settings, Worker, handle, handle_dead_letters};
use jobs::{Clock, Delivery, DriverContext, Limits, LocalQueue, LocalQueueConfig, Store};
use protocol::signature::CertificateKey;
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

fn lease_seconds(config: &ServeConfig) -> u64 {
    config.slice_seconds + LEASE_MARGIN_SECONDS
}

/// How the queue behaves for these settings.
pub(crate) fn queue_config(config: &ServeConfig) -> LocalQueueConfig {
    let visible_after = lease_seconds(config) + VISIBILITY_MARGIN_SECONDS;
    LocalQueueConfig { visibility_timeout: Duration::from_secs(visible_after), max_receives: MAX_RECEIVES }
}

/// The trainer with all it needs.
pub(crate) fn worker(
    config: &ServeConfig,
    store: Arc<dyn Store>,
    queue: Arc<LocalQueue>,
    clock: Arc<dyn Clock>,
    signing_key: CertificateKey,
) -> Worker {
    // A checkpoint is written to this machine's own disk; a tenth of the slice is plenty, also for very short ones.
    let margin = Duration::from_millis(100 * config.slice_seconds);
    let settings = Settings {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        threads: config.worker_threads,
        margin,
        scratch: Some(config.data_dir.clone()),
        signing_key: Some(signing_key),
    };
    let runner = Arc::new(FinetuneRunner::new(store.clone(), clock.clone(), settings));
    let limits = Limits {
        lease_seconds: lease_seconds(config),
        max_receives: MAX_RECEIVES,
        watch_interval: WATCH_INTERVAL,
        ..Limits::default()
    };
    Worker { context: DriverContext { store, queue, clock, runner, limits }, metrics: None }
}

/// Works until `stop` changes; the slice that runs then is finished first (its deadline is up to [`crate::drain`]).
pub(crate) async fn work(
    worker: Worker,
    queue: Arc<LocalQueue>,
    slice: Duration,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            delivery = queue.receive() => {
                let deadline = worker.context.clock.monotonic() + slice;
                let failed = !handle(&worker, event(&delivery), deadline).await.batch_item_failures.is_empty();
                settle(&queue, &delivery, failed);
            }
            delivery = queue.receive_dead_letter() => {
                let failed = !handle_dead_letters(&worker, event(&delivery)).await.batch_item_failures.is_empty();
                settle(&queue, &delivery, failed);
            }
        }
    }
}

fn settle(queue: &LocalQueue, delivery: &Delivery, failed: bool) {
    let result = if failed {
        let wait = RETRY_SECONDS * u64::from(delivery.receive_count);
        queue.nack(&delivery.receipt, Duration::from_secs(wait))
    } else {
        queue.ack(&delivery.receipt)
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
