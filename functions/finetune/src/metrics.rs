//! What operators watch: one line of CloudWatch's embedded metric format for each message that is done.
//!
//! CloudWatch Logs reads metrics out of such lines by itself, so they need no client, no permission and no network (Amazon CloudWatch User Guide,
//! "Specification: Embedded metric format"). Only the Lambda function writes them; the local service has no [`Metrics`].
//!
//! ```text
//! message ─ handler ─▶ jobs::run_message ─▶ Watched ─▶ FinetuneRunner      Watched remembers the slice's report,
//!               └── Outcome ─▶ Metrics::done ─▶ one line                   and it is written once the slice is committed
//! ```
//!
//! | metric | unit | of a committed slice, or of a job |
//! |---|---|---|
//! | `Slices`, `Steps` | count | slices, and optimiser steps in them |
//! | `SliceSeconds` | s | training in it, without fetching the model and storing the result; of a step that several workers share, putting it together |
//! | `TokensPerSecond` | tokens/s | *expected*: sampling rate × tokens of one pass × steps ÷ seconds; real batch sizes never leave the trainer. Not of shared steps |
//! | `EpsilonSpent` | ε | the job's so far, at its δ; look at its maximum, for a sum over jobs means nothing |
//! | `JobsSucceeded`, `JobsFailed` | count | jobs that ended so; a cancelled one ends in the API |
//!
//! Invariant: the only dimension is the base model. A job's id is a mere field of the line; tenants, files and text are not in it.

use bytes::Bytes;
use jobs::{Outcome, Shards, SliceBudget, SliceError, SliceResult, SliceRunner};
use protocol::id::JobId;
use protocol::message::SliceMessage;
use protocol::state::{JobState, Progress};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes metrics, from the trainer's reports and the driver's outcomes.
pub struct Metrics {
    namespace: String,
    lines: Mutex<Box<dyn Write + Send>>,
    /// The latest slice that the trainer ended; not yet known to be committed.
    latest: Mutex<Option<SliceReport>>,
}

/// What a slice did.
#[derive(Debug, Clone, PartialEq)]
struct SliceReport {
    job: JobId,
    slice: u64,
    model: String,
    steps: u64,
    /// That were trained on within `seconds`; none where other workers did so.
    expected_tokens: Option<f64>,
    seconds: f64,
    epsilon_spent: f64,
}

impl SliceReport {
    /// The slice that took `job` to `after`.
    fn new(job: &JobState, after: &Progress) -> Self {
        let steps = after.step.saturating_sub(job.progress.step);
        Self {
            job: job.id.clone(),
            slice: job.next_slice,
            model: job.spec.model.to_string(),
            steps,
            expected_tokens: (job.spec.dp_lora.workers == 1)
                .then(|| job.protection.plan.sampling_rate() * after.tokens as f64 * steps as f64),
            seconds: after.seconds_trained - job.progress.seconds_trained,
            epsilon_spent: after.epsilon_spent,
        }
    }

    fn values(&self) -> Vec<Metric> {
        let mut values = vec![
            ("Slices", "Count", json!(1)),
            ("Steps", "Count", json!(self.steps)),
            ("SliceSeconds", "Seconds", json!(self.seconds)),
            ("EpsilonSpent", "None", json!(self.epsilon_spent)),
        ];
        if let Some(tokens) = self.expected_tokens.filter(|_| self.seconds > 0.0) {
            values.push(("TokensPerSecond", "Count/Second", json!(tokens / self.seconds)));
        }
        values
    }
}

/// Name, CloudWatch's unit, value.
type Metric = (&'static str, &'static str, Value);

impl Metrics {
    /// Metrics of `namespace`, as lines to `lines`, which should be standard output: that is what Lambda reads.
    pub fn new(namespace: impl Into<String>, lines: Box<dyn Write + Send>) -> Arc<Self> {
        Arc::new(Self { namespace: namespace.into(), lines: Mutex::new(lines), latest: Mutex::default() })
    }

    /// `runner`, whose reports are remembered here. Slices must run one after the other, as [`crate::handle`] runs them.
    pub fn watch(self: &Arc<Self>, runner: Arc<dyn SliceRunner>) -> Arc<dyn SliceRunner> {
        Arc::new(Watched { runner, metrics: Arc::clone(self) })
    }

    /// Writes the line of a message that is done, at `now` in Unix seconds; none when nothing was trained and no job ended.
    pub(crate) fn done(&self, message: &SliceMessage, outcome: Outcome, now: u64) {
        let slice = locked(&self.latest)
            .take()
            .filter(|slice| (&slice.job, slice.slice) == (&message.job, message.slice));
        let (slice, ended) = match outcome {
            Outcome::Continued => (slice, None),
            // Nothing is committed by it; the step that the shards make is counted when it is made.
            Outcome::FannedOut | Outcome::ShardDone | Outcome::Postponed => (None, None),
            Outcome::Succeeded => (slice, Some(("JobsSucceeded", "Count", json!(1)))),
            // What a slice of a failed job reported was not committed.
            Outcome::Failed => (None, Some(("JobsFailed", "Count", json!(1)))),
            Outcome::Finished | Outcome::Stale { .. } | Outcome::Dropped => (None, None),
        };
        let metrics: Vec<Metric> = slice.iter().flat_map(SliceReport::values).chain(ended).collect();
        if !metrics.is_empty() {
            let line = format!("{}\n", self.line(&metrics, slice.as_ref(), message, now));
            // Whole, so that no log line comes in between; and a metric that cannot be written is no reason to fail a job.
            let _ = locked(&self.lines).write_all(line.as_bytes());
        }
    }

    fn line(
        &self,
        metrics: &[Metric],
        slice: Option<&SliceReport>,
        message: &SliceMessage,
        now: u64,
    ) -> Value {
        // In all, and by model where that is known.
        let dimensions = if slice.is_some() { json!([[], ["Model"]]) } else { json!([[]]) };
        let definitions: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let directive =
            json!({"Namespace": self.namespace, "Dimensions": dimensions, "Metrics": definitions});
        let mut line = Map::new();
        line.insert("_aws".into(), json!({"Timestamp": now * 1000, "CloudWatchMetrics": [directive]}));
        line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
        line.extend(slice.map(|slice| ("Model".to_owned(), json!(slice.model))));
        line.insert("job".into(), json!(message.job));
        line.insert("slice".into(), json!(message.slice));
        Value::Object(line)
    }
}

/// A trainer whose reports are remembered.
struct Watched {
    runner: Arc<dyn SliceRunner>,
    metrics: Arc<Metrics>,
}

#[async_trait::async_trait]
impl SliceRunner for Watched {
    async fn run(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        let result = self.runner.run(job, checkpoint, budget).await;
        self.note(job, &result);
        result
    }

    async fn shard(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shard: u32,
        budget: SliceBudget,
    ) -> Result<Vec<u8>, SliceError> {
        // Counted with the step that it is a part of.
        self.runner.shard(job, checkpoint, shard, budget).await
    }

    async fn reduce(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shards: Shards<'_>,
    ) -> Result<SliceResult, SliceError> {
        let result = self.runner.reduce(job, checkpoint, shards).await;
        self.note(job, &result);
        result
    }
}

impl Watched {
    /// Keeps how far the job is.
    fn note(&self, job: &JobState, result: &Result<SliceResult, SliceError>) {
        if let Ok(SliceResult::Paused { report, .. } | SliceResult::Finished { report, .. }) = result {
            *locked(&self.metrics.latest) = Some(SliceReport::new(job, &report.progress));
        }
    }
}

/// Both values are replaced or written whole, so a panic elsewhere leaves them valid.
fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
