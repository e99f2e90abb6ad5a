//! A job's durable state: one JSON object, changed only by [`crate::transition::transition`] and written only under compare-and-swap.

use crate::error::ErrorObject;
use crate::hyperparameters::DpLora;
use crate::id::{FileId, JobId, ModelId, TenantId};
use dp::{Budget, DpSgdPlan, Event as Release, SecretSeed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Code of the error of a job that failed for a reason on the service's side.
pub const SERVICE_FAULT: &str = "internal_error";

/// Version of the stored form.
pub const STATE_VERSION: u32 = 2;

/// Events kept in a job. Older progress events go first; changes of status are few and stay well within this.
pub const MAX_EVENTS: usize = 500;

/// Points of a loss curve, about: as many as a picture can show and a job's state can hold.
pub const LOSS_POINTS: u64 = 200;

/// Where a job stands. The names are those of OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Created; no worker has taken it yet.
    Queued,
    /// At least one slice was started.
    Running,
    /// The adapter lies ready. Final.
    Succeeded,
    /// It cannot succeed. Final.
    Failed,
    /// Its owner stopped it. Final.
    Cancelled,
}

impl Status {
    /// True when nothing may change the job any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// What the owner asked for; never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Base model.
    pub model: ModelId,
    /// File to train on.
    pub training_file: FileId,
    /// Words that the owner added to the adapter's name.
    pub suffix: Option<String>,
    /// Training settings.
    pub dp_lora: DpLora,
    /// The owner's own notes (at most 16 pairs).
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What a job may release, and from whose account it is paid. Fixed when the job is created, before anything is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// Sampler, clipping, noise and steps of the whole run.
    pub plan: DpSgdPlan,
    /// SHA-256 of the training file's content, hexadecimal: together with the tenant it names the ledger.
    pub dataset: String,
    /// What all jobs on this data set together may spend.
    pub budget: Budget,
}

/// A released loss: the mean over some steps of the noisy mean loss of their batches, in nats a token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossPoint {
    /// The last of the steps, counted from 1.
    pub step: u64,
    /// How many steps it is the mean of.
    pub steps: u64,
    /// The loss; with so much noise that it may be below 0.
    pub loss: f64,
}

impl LossPoint {
    /// The mean over the steps of both, of which `later` is the later.
    fn mean_with(&self, later: &Self) -> Self {
        let steps = self.steps + later.steps;
        let sum = self.loss * self.steps as f64 + later.loss * later.steps as f64;
        Self { step: later.step, steps, loss: sum / steps as f64 }
    }
}

/// What a running slice says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// How far the job is.
    pub progress: Progress,
    /// Losses that the slice released, oldest first.
    pub losses: Vec<LossPoint>,
}

/// The right to run a slice. `epoch` rises at every acquisition and fences whoever held an older one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// How often the lease was taken.
    pub epoch: u64,
    /// When the present holder loses it, in Unix seconds; none when nobody holds it.
    pub expires_at: Option<u64>,
}

impl Lease {
    /// True when somebody holds the lease at `now` (Unix seconds).
    pub fn is_live(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|end| now < end)
    }
}

/// Where a slice's result lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRef {
    /// Object key.
    pub key: String,
    /// Steps that it holds.
    pub step: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How far a job is; all of it may be shown to its owner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Records in the file.
    pub records: u64,
    /// Tokens in the sequences that are trained on, one pass.
    pub tokens: u64,
    /// ε spent by the steps done.
    pub epsilon_spent: f64,
    /// ε of the whole job.
    pub epsilon_target: f64,
    /// δ of the job.
    pub delta: f64,
    /// Noise multiplier that training uses.
    pub noise_multiplier: f64,
    /// Seconds of training done.
    pub seconds_trained: f64,
    /// Slices committed.
    pub slices: u64,
}

impl Progress {
    /// Seconds that the rest should take, from the pace so far; none before the first step.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total_steps.saturating_sub(self.step) as f64;
        (self.step > 0).then(|| left * self.seconds_trained / self.step as f64)
    }
}

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As expected.
    Info,
    /// The owner should look at it.
    Warn,
    /// The job stopped because of it.
    Error,
}

/// One line of a job's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Position in the story, from 0; never re-used.
    pub sequence: u64,
    /// Unix seconds.
    pub at: u64,
    /// Seriousness.
    pub level: Level,
    /// One plain sentence.
    pub message: String,
    /// Progress at that time, for events about progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The charge of a job that was put back to work `redrives` times.
pub fn charge_name(job: &JobId, redrives: u32) -> String {
    match redrives {
        0 => job.to_string(),
        _ => format!("{job}+{redrives}"),
    }
}

/// Reads what [`charge_name`] wrote; none for anything else.
pub fn charged_job(name: &str) -> Option<(JobId, u32)> {
    let (job, redrives) = name.split_once('+').unwrap_or((name, "0"));
    Some((JobId::parse(job).ok()?, redrives.parse().ok()?))
}

/// The durable state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Name of the job.
    pub id: JobId,
    /// Owner.
    pub tenant: TenantId,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds of reaching a final status.
    pub finished_at: Option<u64>,
    /// What was asked for.
    pub spec: JobSpec,
    /// What it may release.
    pub protection: Protection,
    /// Where it stands.
    pub status: Status,
    /// Who may write.
    pub lease: Lease,
    /// The slice that is to run next, or runs now.
    pub next_slice: u64,
    /// Where the next slice starts from; none means from the beginning.
    pub checkpoint: Option<CheckpointRef>,
    /// All of the job's randomness derives from this seed, so that a repeated step releases the same noised values and no second sample.
    /// It never leaves the service: whoever knows it can subtract the noise.
    pub noise_seed: SecretSeed,
    /// How far it is: what is committed.
    pub progress: Progress,
    /// How far the running slice says it is, to be shown only. A crash may take these steps back; nothing of them was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Progress>,
    /// Losses released so far, oldest first. A loss once here stays: a repeated step never replaces it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossPoint>,
    /// True once a worker was allowed to write the adapter where its owner can see it. From then on the job has cost all it was charged.
    #[serde(default)]
    pub published: bool,
    /// True once its owner asked for its deletion.
    #[serde(default)]
    pub discarded: bool,
    /// How often its operator has put it back to work.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrives: u32,
    /// Its story, oldest first.
    pub events: Vec<Event>,
    /// Sequence number of the next event.
    pub next_event: u64,
    /// Files of the adapter, when it succeeded.
    pub result_files: Vec<FileId>,
    /// Why it failed.
    pub error: Option<ErrorObject>,
}

impl JobState {
    /// A new, queued job.
    pub fn new(
        id: JobId,
        tenant: TenantId,
        spec: JobSpec,
        protection: Protection,
        noise_seed: SecretSeed,
        now: u64,
    ) -> Self {
        let plan = &protection.plan;
        let progress = Progress {
            total_steps: plan.steps(),
            records: plan.records() as u64,
            epsilon_target: spec.dp_lora.epsilon.get(),
            delta: plan.delta().get(),
            noise_multiplier: plan.noise_multiplier(),
            ..Progress::default()
        };
        let mut state = Self {
            version: STATE_VERSION,
            id,
            tenant,
            created_at: now,
            finished_at: None,
            spec,
            protection,
            status: Status::Queued,
            lease: Lease::default(),
            next_slice: 0,
            checkpoint: None,
            noise_seed,
            progress,
            live: None,
            losses: Vec::new(),
            published: false,
            discarded: false,
            redrives: 0,
            events: Vec::new(),
            next_event: 0,
            result_files: Vec::new(),
            error: None,
        };
        state.record(now, Level::Info, "The job was created and waits for a worker.", false);
        state
    }

    /// The name of its charge in the ledger: each time that it is put back to work has one of its own, so that an end that was settled before is never
    /// mistaken for the next one.
    pub fn charge_name(&self) -> String {
        charge_name(&self.id, self.redrives)
    }

    /// What the job is to be charged for.
    pub fn charge(&self) -> Release {
        self.protection.plan.event()
    }

    /// What the job has released in the end; none while it is not over.
    pub fn released(&self) -> Option<Vec<Release>> {
        let last = self.losses.last().map_or(0, |point| point.step);
        match (self.status.is_final(), self.published) {
            (false, _) => None,
            (true, true) => Some(vec![self.charge()]),
            (true, false) => Some(self.protection.plan.loss_event(last).into_iter().collect()),
        }
    }

    /// Keeps the losses of steps that none is known of yet: the first one told of a step stays.
    ///
    /// Of a job with several workers each step is a slice, and its loss comes alone: here they become means over some steps.
    pub(crate) fn keep_losses(&mut self, losses: &[LossPoint]) {
        let width = self.progress.total_steps.div_ceil(LOSS_POINTS);
        let gathers = self.spec.dp_lora.workers > 1;
        for point in losses.iter().filter(|point| point.loss.is_finite()) {
            match self.losses.last_mut() {
                Some(last) if point.step <= last.step => {}
                Some(last) if gathers && last.steps < width => *last = last.mean_with(point),
                _ => self.losses.push(*point),
            }
        }
    }

    /// True when its operator may put it back to work: it failed for a reason on the service's side, so what it has left is kept.
    pub fn can_be_redriven(&self) -> bool {
        let code = self.error.as_ref().and_then(|error| error.code.as_deref());
        self.status == Status::Failed && !self.discarded && code == Some(SERVICE_FAULT)
    }

    /// Adds an event and drops the oldest beyond [`MAX_EVENTS`].
    pub(crate) fn record(&mut self, at: u64, level: Level, message: impl Into<String>, with_progress: bool) {
        let progress = with_progress.then(|| self.progress.clone());
        self.events.push(Event { sequence: self.next_event, at, level, message: message.into(), progress });
        self.next_event += 1;
        let surplus = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..surplus);
    }

    /// Name of the fine-tuned model, as OpenAI forms it: `ft:{base}:{tenant}:{suffix}:{short id}`.
    pub fn fine_tuned_model(&self) -> String {
        let suffix = self.spec.suffix.as_deref().unwrap_or("");
        // A job id is `ftjob-` and 24 ASCII digits by construction, so the slice is in range.
        format!("ft:{}:{}:{suffix}:{}", self.spec.model, self.tenant, &self.id.as_str()[6..14])
    }
}
