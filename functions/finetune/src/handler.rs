//! The queue's events.
//!
//! A message that must come again is named in the answer; all others are deleted. A body that is no slice message can never succeed: it is logged
//! without its content and deleted, since keeping it would only block the queue.

use crate::metrics::Metrics;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use jobs::{Attempt, DriverContext, Outcome, run_message, settle_dead_letter};
use protocol::message::SliceMessage;
use std::sync::Arc;
use std::time::Duration;

/// What handles events.
#[derive(Clone)]
pub struct Worker {
    /// Store, queue, clock, trainer and bounds.
    pub context: DriverContext,
    /// Where it is counted what became of messages; none where nobody reads it.
    pub metrics: Option<Arc<Metrics>>,
}

impl Worker {
    fn count(&self, message: &SliceMessage, outcome: Outcome) {
        if let Some(metrics) = &self.metrics {
            metrics.done(message, outcome, self.context.clock.now());
        }
    }
}

/// Runs the slices that `event` asks for, one after the other, until `deadline` on the clock's monotonic time.
pub async fn handle(worker: &Worker, event: SqsEvent, deadline: Duration) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (index, record) in event.records.iter().enumerate() {
        let late = worker.context.clock.monotonic() >= deadline;
        // The first always runs: a slice makes at least one step, or a tight deadline would keep a job from ever going on.
        let comes_again = (index > 0 && late) || run(worker, record, deadline).await;
        if comes_again {
            response.add_failure(message_id(record));
        }
    }
    response
}

/// Settles messages that were received too often.
pub async fn handle_dead_letters(worker: &Worker, event: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for record in &event.records {
        let Some(message) = parse(record) else { continue };
        match settle_dead_letter(&worker.context, &message).await {
            Ok(outcome) => worker.count(&message, outcome),
            Err(error) => {
                tracing::warn!(job = %message.job, slice = message.slice, %error, "a dead letter cannot be settled yet");
                response.add_failure(message_id(record));
            }
        }
    }
    response
}

/// Runs one message; true when it must come again.
async fn run(worker: &Worker, record: &SqsMessage, deadline: Duration) -> bool {
    let Some(message) = parse(record) else { return false };
    let attempt = Attempt { receive_count: receive_count(record), deadline };
    let (job, slice) = (&message.job, message.slice);
    match run_message(&worker.context, &message, attempt).await {
        Ok(outcome) => {
            tracing::info!(%job, slice, ?outcome, "a message is done");
            worker.count(&message, outcome);
            false
        }
        Err(error) => {
            tracing::warn!(%job, slice, attempt.receive_count, %error, "a message must come again");
            true
        }
    }
}

fn parse(record: &SqsMessage) -> Option<SliceMessage> {
    let message = record.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    if message.is_none() {
        tracing::error!(message_id = message_id(record), "a message that asks for no slice is dropped");
    }
    message
}

fn message_id(record: &SqsMessage) -> &str {
    // SQS always names its messages; an empty name makes Lambda give the whole batch back, which is safe.
    record.message_id.as_deref().unwrap_or_default()
}

fn receive_count(record: &SqsMessage) -> u32 {
    let count = record.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
