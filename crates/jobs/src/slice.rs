//! One slice under a lease: run it, store what it made, commit. The order of the writes is the driver's; see [`crate::driver`].
//!
//! A slice of a job with several workers is one step. Its holder makes it out of the shards' sums once all are there, and otherwise asks for
//! those that are missing: see [`crate::fan_out`].

use crate::driver::{Attempt, DriverContext, DriverError, Outcome, kept_failing};
use crate::job_store::{JobStore, JobStoreError};
use crate::ledger_store::{LedgerStore, LedgerStoreError};
use crate::results;
use crate::runner::{LiveProgress, SliceBudget, SliceError, SliceResult, StopFlag};
use crate::store::{PutCondition, StoreError};
use bytes::Bytes;
use dp::LedgerError;
use futures::stream::{self, StreamExt, TryStreamExt};
use protocol::error::ErrorObject;
use protocol::keys;
use protocol::message::SliceMessage;
use protocol::state::{CheckpointRef, JobState, Progress, Report};
use protocol::transition::{Change, Refusal, transition};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Keys of one slice's shards looked at in one go: more than a job may have workers.
pub(crate) const MAX_SHARD_KEYS: usize = 1000;

/// Requests that are made at once for many shards: one after the other, 256 of them would take longer than the work they belong to.
pub(crate) const AT_A_TIME: usize = 16;

/// A slice whose lease is held.
pub(crate) struct Slice<'a> {
    pub(crate) context: &'a DriverContext,
    pub(crate) jobs: &'a JobStore,
    /// The job as it was when the lease was taken.
    pub(crate) job: JobState,
}

/// How a slice goes wrong.
pub(crate) enum Failure {
    /// The job can never succeed.
    Permanent(ErrorObject),
    /// It may go better next time.
    Passing(DriverError),
    /// The lease is gone or the job over: there is nothing left to give back.
    Lost(JobStoreError),
}

impl From<JobStoreError> for Failure {
    fn from(error: JobStoreError) -> Self {
        match error {
            JobStoreError::Refused(
                Refusal::Finished | Refusal::Fenced { .. } | Refusal::StaleSlice { .. },
            )
            | JobStoreError::Missing
            | JobStoreError::Deleted(_) => Self::Lost(error),
            other => Self::Passing(DriverError::Jobs(other)),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Passing(DriverError::Store(error))
    }
}

impl From<LedgerStoreError> for Failure {
    fn from(error: LedgerStoreError) -> Self {
        match error {
            LedgerStoreError::Refused(refused) => Self::Permanent(over_budget(&refused)),
            other => Self::Passing(DriverError::Ledger(other)),
        }
    }
}

impl From<SliceError> for Failure {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Permanent(error) => Self::Permanent(error),
            SliceError::Retryable(reason) => Self::Passing(DriverError::Slice(reason)),
        }
    }
}

impl Slice<'_> {
    /// Runs and commits the slice; a failure gives the lease back or ends the job.
    pub(crate) async fn drive(&self, attempt: Attempt) -> Result<Outcome, DriverError> {
        let committed = match self.run(attempt.deadline).await {
            Ok(Some(SliceResult::Paused { checkpoint, report })) => self.commit(checkpoint, report).await,
            Ok(Some(SliceResult::Finished { files, report })) => self.succeed(files, report).await,
            Ok(None) => self.fan_out().await,
            Err(failure) => Err(failure),
        };
        match committed {
            Ok(outcome) => Ok(outcome),
            Err(Failure::Lost(JobStoreError::Refused(Refusal::Fenced { .. }))) => Err(DriverError::Fenced),
            Err(Failure::Lost(_)) => {
                self.tidy().await;
                Ok(Outcome::Finished)
            }
            Err(Failure::Permanent(error)) => self.fail(error).await,
            Err(Failure::Passing(error)) => self.give_up(attempt, error).await,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.job.lease.epoch
    }

    /// What the slice made; none when it waits for its shards.
    async fn run(&self, deadline: Duration) -> Result<Option<SliceResult>, Failure> {
        self.ensure_charged().await?;
        let runner = &self.context.runner;
        let result = match self.job.spec.dp_lora.workers {
            1 => {
                let checkpoint = self.checkpoint().await?;
                self.watched(deadline, |budget| runner.run(&self.job, checkpoint, budget)).await?
            }
            _ => {
                let Some(shards) = self.gather().await? else { return Ok(None) };
                runner.reduce(&self.job, self.checkpoint().await?, shards).await?
            }
        };
        match &result {
            SliceResult::Paused { report, .. } | SliceResult::Finished { report, .. }
                if is_finite(&report.progress) =>
            {
                Ok(Some(result))
            }
            _ => Err(Failure::Passing(DriverError::Slice(
                "its progress holds a number that is not finite".into(),
            ))),
        }
    }

    /// Runs `work` until `deadline`, and tells it to stop when it has become pointless.
    pub(crate) async fn watched<T, F>(
        &self,
        deadline: Duration,
        work: impl FnOnce(SliceBudget) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SliceError>>,
    {
        let stop = StopFlag::default();
        let live = LiveProgress::default();
        let budget = SliceBudget { deadline, stop: stop.clone(), live: live.clone() };
        let result = tokio::select! {
            // In a fixed order, so that a simulation can repeat what happened.
            biased;
            result = work(budget) => result,
            never = self.watch(&stop, &live) => match never {},
        };
        if stop.is_raised() {
            // Asking again says why: the job is over, gone, or another worker's.
            self.still_due().await?;
        }
        Ok(result?)
    }

    /// Nothing may be released that the data set's ledger does not hold.
    pub(crate) async fn ensure_charged(&self) -> Result<(), Failure> {
        let ledgers = LedgerStore::new(Arc::clone(&self.context.store));
        Ok(ledgers.ensure_charged(&self.job, self.context.clock.now()).await?)
    }

    /// The checkpoint to start from, checked against its hash.
    pub(crate) async fn checkpoint(&self) -> Result<Option<Bytes>, Failure> {
        let Some(reference) = &self.job.checkpoint else { return Ok(None) };
        let bytes = self.context.store.get(&reference.key).await?.bytes;
        if sha256(&bytes) == reference.sha256 {
            return Ok(Some(bytes));
        }
        Err(Failure::Passing(DriverError::Slice("the checkpoint does not have its hash".into())))
    }

    /// Passes on how far the slice is, and raises the flag when it has become pointless; never returns.
    async fn watch(&self, stop: &StopFlag, live: &LiveProgress) -> std::convert::Infallible {
        loop {
            self.context.clock.sleep(self.context.limits.watch_interval).await;
            let looked = match live.take().filter(|report| is_finite(&report.progress)) {
                Some(report) => {
                    let change = Change::Report { epoch: self.epoch(), report };
                    self.change(change).await.map_err(Failure::from)
                }
                None => self.still_due().await,
            };
            if matches!(looked, Err(Failure::Lost(_))) {
                stop.raise();
                return std::future::pending().await;
            }
        }
    }

    /// Whether the slice is still to be done, and by whoever has taken this lease or, for a shard, by anybody.
    pub(crate) async fn still_due(&self) -> Result<(), Failure> {
        let state = self.jobs.load(&self.job.tenant, &self.job.id).await?.value;
        let (epoch, current) = (self.epoch(), state.lease.epoch);
        let (slice, next) = (self.job.next_slice, state.next_slice);
        let refusal = match self.job.lease.expires_at {
            _ if state.status.is_final() => Refusal::Finished,
            Some(_) if epoch != current => Refusal::Fenced { epoch, current },
            None if slice != next => Refusal::StaleSlice { slice, next },
            _ => return Ok(()),
        };
        Err(JobStoreError::Refused(refusal).into())
    }

    async fn commit(&self, checkpoint: Vec<u8>, report: Report) -> Result<Outcome, Failure> {
        if self.job.next_slice + 1 >= self.context.limits.max_slices {
            return Err(Failure::Permanent(too_long()));
        }
        let (tenant, job, store) = (&self.job.tenant, &self.job.id, &self.context.store);
        let step = report.progress.step;
        let key = keys::checkpoint(tenant, job, self.epoch(), step);
        let reference = CheckpointRef { key, step, sha256: sha256(&checkpoint) };
        store.put(&reference.key, Bytes::from(checkpoint), PutCondition::Always).await?;
        self.change(Change::Commit { epoch: self.epoch(), checkpoint: reference, report }).await?;
        let slice = self.job.next_slice + 1;
        match self.job.spec.dp_lora.workers {
            1 => self.send(&SliceMessage::whole(tenant, job, slice)).await?,
            workers => self.ask_for_shards(slice, 0..workers).await?,
        }
        // What stays behind is removed when the job ends.
        if let Err(error) = self.delete_old().await {
            tracing::warn!(%job, %error, "an old checkpoint could not be deleted");
        }
        Ok(Outcome::Continued)
    }

    pub(crate) async fn send(&self, message: &SliceMessage) -> Result<(), Failure> {
        let sent = self.context.queue.send(message, Duration::ZERO).await;
        sent.map_err(|error| Failure::Passing(error.into()))
    }

    /// What this slice started from.
    async fn delete_old(&self) -> Result<(), StoreError> {
        let store = &self.context.store;
        if let Some(old) = &self.job.checkpoint {
            store.delete(&old.key).await?;
        }
        if self.job.spec.dp_lora.workers > 1 {
            let prefix = keys::shards_prefix(&self.job.tenant, &self.job.id, self.job.next_slice);
            let shards = store.list(&prefix, None, MAX_SHARD_KEYS).await?.keys;
            let delete = |key: String| async move { store.delete(&key).await };
            stream::iter(shards).map(delete).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        }
        Ok(())
    }

    async fn succeed(&self, files: Vec<(String, Vec<u8>)>, report: Report) -> Result<Outcome, Failure> {
        self.ensure_charged().await?;
        // From here on the owner may see the adapter, so the job costs all it was charged, however it ends. Refused to a worker that was overtaken.
        self.change(Change::Publish { epoch: self.epoch() }).await?;
        let (store, now) = (&*self.context.store, self.context.clock.now());
        let result_files = results::write(store, &self.job, files, now).await?;
        let succeed = Change::Succeed { epoch: self.epoch(), result_files: result_files.clone(), report };
        if let Err(error) = self.change(succeed).await {
            let failure = Failure::from(error);
            if let Failure::Lost(_) = failure {
                results::withdraw(store, &self.job, &result_files).await?;
            }
            return Err(failure);
        }
        self.tidy().await;
        Ok(Outcome::Succeeded)
    }

    async fn fail(&self, error: ErrorObject) -> Result<Outcome, DriverError> {
        match self.change(Change::Fail { epoch: Some(self.epoch()), error }).await {
            Ok(()) => {
                self.tidy().await;
                Ok(Outcome::Failed)
            }
            Err(
                JobStoreError::Refused(Refusal::Finished)
                | JobStoreError::Missing
                | JobStoreError::Deleted(_),
            ) => {
                self.tidy().await;
                Ok(Outcome::Finished)
            }
            Err(JobStoreError::Refused(Refusal::Fenced { .. })) => Err(DriverError::Fenced),
            Err(error) => Err(DriverError::Jobs(error)),
        }
    }

    /// Gives the lease back so that the redelivered message can take it, or ends the job if this was the last delivery.
    async fn give_up(&self, attempt: Attempt, error: DriverError) -> Result<Outcome, DriverError> {
        let job = &self.job.id;
        tracing::warn!(%job, slice = self.job.next_slice, attempt.receive_count, %error, "a slice failed");
        // Once committed, the slice itself is done; its message must come again, or be settled as a dead letter, to send the next.
        let committed = matches!(error, DriverError::Queue(_));
        if !committed && attempt.receive_count >= self.context.limits.max_receives {
            return self.fail(kept_failing()).await;
        }
        if !committed && let Err(error) = self.change(Change::Release { epoch: self.epoch() }).await {
            // No harm: the lease runs out before the message comes again.
            tracing::warn!(%job, %error, "a lease could not be given back");
        }
        Err(error)
    }

    pub(crate) async fn tidy(&self) {
        results::tidy(&self.context.store, self.jobs, &self.job.tenant, &self.job.id).await;
    }

    pub(crate) async fn change(&self, change: Change) -> Result<(), JobStoreError> {
        let now = self.context.clock.now();
        let apply = |state: &JobState| transition(state, change.clone(), now);
        self.jobs.update(&self.job.tenant, &self.job.id, apply).await.map(|_| ())
    }
}

fn too_long() -> ErrorObject {
    ErrorObject {
        message: "The job took more slices than one job may have. Ask for fewer steps, a smaller batch or a smaller model.".into(),
        r#type: "invalid_request_error".into(),
        param: Some("steps".into()),
        code: Some("job_too_long".into()),
    }
}

fn over_budget(refused: &LedgerError) -> ErrorObject {
    ErrorObject {
        message: format!(
            "The privacy budget of this training file does not allow the job any more: {refused}."
        ),
        r#type: "invalid_request_error".into(),
        param: Some("training_file".into()),
        code: Some("privacy_budget_exceeded".into()),
    }
}

/// JSON has no infinity: such a number would be stored as null, and the state could not be read back.
fn is_finite(progress: &Progress) -> bool {
    let Progress { epsilon_spent, epsilon_target, delta, noise_multiplier, seconds_trained, .. } = progress;
    [epsilon_spent, epsilon_target, delta, noise_multiplier, seconds_trained]
        .iter()
        .all(|number| number.is_finite())
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
