//! Jobs, and a trainer that only counts, for tests.

use crate::quota::Quotas;
use crate::runner::{Shards, SliceBudget, SliceError, SliceResult, SliceRunner};
use bytes::Bytes;
use dp::{Budget, Delta, Epsilon, PrivacyUnit};
use futures::TryStreamExt;
use protocol::hyperparameters::DpLoraRequest;
use protocol::id::{FileId, JobId, ModelId, TenantId};
use protocol::message::SliceMessage;
use protocol::state::{JobSpec, JobState, LossPoint, Progress, Protection, Report};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// Calibrated once.
static PROTECTION: LazyLock<Protection> = LazyLock::new(protection);

/// Room for what a test does.
pub(crate) const QUOTAS: Quotas = Quotas { jobs: 20, functions: 64, bytes: 1 << 40 };

/// When the jobs were created.
pub(crate) const CREATED: u64 = 1_790_000_000;

/// A plan that samples everything, whose ε has a closed form: histories ask for it thousands of times.
pub(crate) fn protection() -> Protection {
    let request = DpLoraRequest {
        steps: Some(12),
        batch_size: Some(4),
        loss_curve: Some(true),
        ..DpLoraRequest::default()
    };
    Protection {
        plan: request.validate().unwrap().plan(4, PrivacyUnit::Line).unwrap(),
        dataset: "ab".repeat(32),
        budget: Budget { epsilon: Epsilon::try_from(20.0).unwrap(), delta: Delta::try_from(1e-5).unwrap() },
    }
}

/// A queued job whose name comes from `number`.
pub(crate) fn queued(number: u8) -> JobState {
    let spec = JobSpec {
        model: ModelId::parse("demo").unwrap(),
        training_file: FileId::from_entropy([1; 12]),
        suffix: None,
        dp_lora: DpLoraRequest::default().validate().unwrap(),
        metadata: Default::default(),
    };
    let seed = dp::SecretSeed::from_bytes([number; 32]);
    let (id, tenant) = (JobId::from_entropy([number; 12]), TenantId::parse("acme").unwrap());
    JobState::new(id, tenant, spec, PROTECTION.clone(), seed, CREATED)
}

/// A queued job on each of whose steps `workers` functions work.
pub(crate) fn fanned_out(number: u8, workers: u32) -> JobState {
    let mut job = queued(number);
    job.spec.dp_lora.workers = workers;
    job
}

/// The message for a slice of `state`.
pub(crate) fn message(state: &JobState, slice: u64) -> SliceMessage {
    SliceMessage::whole(&state.tenant, &state.id, slice)
}

/// What the counting trainer is to do next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Script {
    /// Make this many steps.
    Steps(u64),
    /// Fail with this.
    Fail(SliceError),
}

/// Appends the number of every step to its checkpoint: a history in which a step that is left out or made twice shows.
pub(crate) struct CountingRunner {
    pub(crate) total: u64,
    script: Mutex<Box<dyn FnMut() -> Script + Send>>,
}

impl CountingRunner {
    pub(crate) fn new(total: u64, script: impl FnMut() -> Script + Send + 'static) -> Self {
        Self { total, script: Mutex::new(Box::new(script)) }
    }

    pub(crate) fn steps(total: u64, steps: u64) -> Self {
        Self::new(total, move || Script::Steps(steps))
    }
}

/// The history that a run without any trouble leaves.
pub(crate) fn flawless(total: u64) -> Vec<u8> {
    (0..total).flat_map(|step| format!("{step}\n").into_bytes()).collect()
}

#[async_trait::async_trait]
impl SliceRunner for CountingRunner {
    async fn run(
        &self,
        _job: &JobState,
        checkpoint: Option<Bytes>,
        _budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        let script = (self.script.lock().unwrap())();
        let steps = match script {
            Script::Steps(steps) => steps,
            Script::Fail(error) => return Err(error),
        };
        let mut history = checkpoint.map(Vec::from).unwrap_or_default();
        let done = history.iter().filter(|byte| **byte == b'\n').count() as u64;
        let end = self.total.min(done + steps);
        history.extend((done..end).flat_map(|step| format!("{step}\n").into_bytes()));
        let progress =
            Progress { step: end, total_steps: self.total, epsilon_spent: end as f64, ..Default::default() };
        let losses = (done + 1..=end).map(|step| LossPoint { step, steps: 1, loss: step as f64 }).collect();
        let report = Report { progress, losses };
        if end < self.total {
            return Ok(SliceResult::Paused { checkpoint: history, report });
        }
        let files = vec![("adapter.txt".to_owned(), history), ("privacy.json".to_owned(), b"{}".to_vec())];
        Ok(SliceResult::Finished { files, report })
    }

    async fn shard(
        &self,
        _: &JobState,
        checkpoint: Option<Bytes>,
        shard: u32,
        _: SliceBudget,
    ) -> Result<Vec<u8>, SliceError> {
        match (self.script.lock().unwrap())() {
            Script::Steps(_) => Ok(shard_of(checkpoint.as_deref().unwrap_or_default(), shard)),
            Script::Fail(error) => Err(error),
        }
    }

    async fn reduce(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shards: Shards<'_>,
    ) -> Result<SliceResult, SliceError> {
        let before = checkpoint.as_deref().unwrap_or_default();
        let expected: Vec<_> = (0..job.spec.dp_lora.workers).map(|shard| shard_of(before, shard)).collect();
        assert_eq!(shards.try_collect::<Vec<_>>().await?, expected, "the step's own shards, in order");
        let budget =
            SliceBudget { deadline: Duration::MAX, stop: Default::default(), live: Default::default() };
        Self::steps(self.total, 1).run(job, checkpoint, budget).await
    }
}

/// What shard `shard` of the step after `checkpoint` comes to.
pub(crate) fn shard_of(checkpoint: &[u8], shard: u32) -> Vec<u8> {
    format!("{} {shard}", crate::slice::sha256(checkpoint)).into_bytes()
}
