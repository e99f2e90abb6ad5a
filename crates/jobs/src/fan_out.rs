//! A step by several workers.
//!
//! ```text
//! whole message ─▶ lease ─▶ shards missing? ─▶ give the lease back ─▶ one message for each missing shard ─▶ asked
//! shard message ─▶ noised sum (put if absent) ─▶ all there? ─▶ whole message
//! whole message ─▶ lease ─▶ all there ─▶ make the step ─▶ commit (one CAS) ─▶ one message for each shard of the next slice ─▶ asked
//! ```
//!
//! Shards hold no lease: two workers on one shard come to the same bytes, and the first to write them wins. A crash between any two arrows is
//! repaired by the message, as in [`crate::driver`]: whoever stores the last shard finds the slice complete, and its message is not deleted before the
//! step is asked for. Several may find it complete; the step is made once, and a whole message that comes after it is dropped if the next shards
//! were asked for, which the object `asked` says.
//!
//! Invariant: what a shard stores is noised; see `dp::shards` for how the noise of all adds up to the plan's.
//!
//! Invariant: a step is made from shards of one checkpoint: their keys hold the slice, and a slice has one checkpoint.

use crate::driver::{Attempt, DriverContext, DriverError, Outcome, kept_failing};
use crate::job_store::{JobStore, JobStoreError};
use crate::results;
use crate::runner::{Shards, SliceError};
use crate::slice::{AT_A_TIME, Failure, MAX_SHARD_KEYS, Slice};
use crate::store::{PutCondition, StoreError};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use protocol::error::ErrorObject;
use protocol::keys;
use protocol::message::SliceMessage;
use protocol::state::JobState;
use protocol::transition::{Change, Refusal, transition};

impl Slice<'_> {
    /// All shards of the slice, in order; none while one is missing.
    pub(crate) async fn gather(&self) -> Result<Option<Shards<'_>>, Failure> {
        let found = self.shards_found().await?;
        if found.len() < self.workers() as usize {
            return Ok(None);
        }
        let read = move |shard| async move {
            let object = self.context.store.get(&self.shard_key(shard)).await;
            object.map(|object| object.bytes).map_err(|error| SliceError::Retryable(error.to_string()))
        };
        Ok(Some(stream::iter(found).map(read).buffered(AT_A_TIME).boxed()))
    }

    /// Asks for the shards that are missing, and gives the lease back first: the last of them asks for the step, which must find it free.
    pub(crate) async fn fan_out(&self) -> Result<Outcome, Failure> {
        let found = self.shards_found().await?;
        self.change(Change::Release { epoch: self.epoch() }).await?;
        let missing = (0..self.workers()).filter(|shard| !found.contains(shard));
        self.ask_for_shards(self.job.next_slice, missing).await?;
        Ok(Outcome::FannedOut)
    }

    /// Asks for shards of `slice`, and then says so.
    pub(crate) async fn ask_for_shards(
        &self,
        slice: u64,
        shards: impl Iterator<Item = u32>,
    ) -> Result<(), Failure> {
        let message = |shard| SliceMessage::shard(&self.job.tenant, &self.job.id, slice, shard);
        let send = |shard| async move { self.send(&message(shard)).await };
        stream::iter(shards).map(send).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        let key = keys::shards_asked(&self.job.tenant, &self.job.id, slice);
        self.context.store.put(&key, Bytes::new(), PutCondition::Always).await?;
        Ok(())
    }

    fn workers(&self) -> u32 {
        self.job.spec.dp_lora.workers
    }

    fn shard_key(&self, shard: u32) -> String {
        keys::shard(&self.job.tenant, &self.job.id, self.job.next_slice, shard)
    }

    /// Numbers of the shards that are there, in order.
    async fn shards_found(&self) -> Result<Vec<u32>, StoreError> {
        let prefix = keys::shards_prefix(&self.job.tenant, &self.job.id, self.job.next_slice);
        let found = self.context.store.list(&prefix, None, MAX_SHARD_KEYS).await?.keys;
        let numbers = found.iter().filter_map(|key| key[prefix.len()..].parse().ok());
        Ok(numbers.filter(|shard| *shard < self.workers()).collect())
    }

    /// Computes and stores one shard, and asks for the step if it was the last.
    async fn make_shard(&self, shard: u32, attempt: Attempt) -> Result<Outcome, Failure> {
        self.ensure_charged().await?;
        let key = self.shard_key(shard);
        match self.context.store.head(&key).await {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => self.compute_shard(shard, attempt).await?,
            Err(error) => return Err(error.into()),
        }
        if let Err(failure) = self.still_due().await {
            if let Failure::Lost(JobStoreError::Refused(Refusal::StaleSlice { .. })) = failure {
                // Too late: nobody will look at it any more. Of a job that is over, whoever tidies up decides.
                self.context.store.delete(&key).await?;
            }
            return Err(failure);
        }
        if self.shards_found().await?.len() == self.workers() as usize {
            // Shards that complete the slice at the same time all ask: any of them may die before it does, and one step is made in any case.
            self.send(&SliceMessage::whole(&self.job.tenant, &self.job.id, self.job.next_slice)).await?;
        }
        Ok(Outcome::ShardDone)
    }

    async fn compute_shard(&self, shard: u32, attempt: Attempt) -> Result<(), Failure> {
        let (checkpoint, runner) = (self.checkpoint().await?, &self.context.runner);
        let work = |budget| runner.shard(&self.job, checkpoint, shard, budget);
        let sum = self.watched(attempt.deadline, work).await?;
        let key = self.shard_key(shard);
        match self.context.store.put(&key, Bytes::from(sum), PutCondition::IfAbsent).await {
            Ok(_) | Err(StoreError::PreconditionFailed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails the job; nobody may hold its lease.
    async fn fail_shard(&self, error: ErrorObject) -> Result<Outcome, DriverError> {
        match self.change(Change::Fail { epoch: None, error }).await {
            Ok(()) => {
                self.tidy().await;
                Ok(Outcome::Failed)
            }
            Err(JobStoreError::Refused(Refusal::LeaseHeld { until })) => Err(DriverError::Busy { until }),
            Err(error) => match Failure::from(error) {
                Failure::Lost(_) => Ok(Outcome::Finished),
                Failure::Passing(error) => Err(error),
                // A refused change of state is never one of these.
                Failure::Permanent(error) => Err(DriverError::Slice(error.message)),
            },
        }
    }
}

/// Runs the shard that `message` asks for.
pub(crate) async fn run_shard(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
    shard: u32,
    attempt: Attempt,
) -> Result<Outcome, DriverError> {
    let job = match due(context, jobs, message, shard).await? {
        Due::Yes(job) => *job,
        Due::No(outcome) => return Ok(outcome),
    };
    let slice = Slice { context, jobs, job };
    let failure = match slice.make_shard(shard, attempt).await {
        Ok(outcome) => return Ok(outcome),
        Err(failure) => failure,
    };
    match failure {
        Failure::Lost(JobStoreError::Refused(Refusal::StaleSlice { .. })) => {
            Ok(Outcome::Stale { resent: false })
        }
        Failure::Lost(_) => {
            slice.tidy().await;
            Ok(Outcome::Finished)
        }
        Failure::Permanent(error) => slice.fail_shard(error).await,
        Failure::Passing(error) => {
            let (job, slice_number) = (&message.job, message.slice);
            tracing::warn!(%job, slice = slice_number, shard, attempt.receive_count, %error, "a slice failed");
            match attempt.receive_count >= context.limits.max_receives {
                true => slice.fail_shard(kept_failing()).await,
                false => Err(error),
            }
        }
    }
}

enum Due {
    Yes(Box<JobState>),
    No(Outcome),
}

/// The job, if the shard is to be computed now.
async fn due(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
    shard: u32,
) -> Result<Due, DriverError> {
    let (tenant, job) = (&message.tenant, &message.job);
    let mut state = match jobs.load(tenant, job).await {
        Ok(stored) => stored.value,
        Err(JobStoreError::Missing | JobStoreError::Deleted(_)) => {
            results::tidy(&context.store, jobs, tenant, job).await;
            return Ok(Due::No(Outcome::Dropped));
        }
        Err(error) => return Err(DriverError::Jobs(error)),
    };
    if state.status.is_final() {
        results::tidy(&context.store, jobs, tenant, job).await;
        return Ok(Due::No(Outcome::Finished));
    }
    if message.slice < state.next_slice {
        return Ok(Due::No(Outcome::Stale { resent: false }));
    }
    if message.slice > state.next_slice || shard >= state.spec.dp_lora.workers {
        tracing::error!(%job, slice = message.slice, shard, "a message for a shard that is not due is dropped; nobody should send one");
        return Ok(Due::No(Outcome::Dropped));
    }
    // A shard's worker holds no lease, whoever else does.
    state.lease.expires_at = None;
    Ok(Due::Yes(Box::new(state)))
}

/// Settles a shard's message that was received too often: fails the job if the shard is still missing.
pub(crate) async fn settle(
    context: &DriverContext,
    jobs: &JobStore,
    message: &SliceMessage,
    shard: u32,
) -> Result<Outcome, DriverError> {
    let job = match due(context, jobs, message, shard).await? {
        Due::Yes(job) => *job,
        Due::No(outcome) => return Ok(outcome),
    };
    let slice = Slice { context, jobs, job };
    match context.store.head(&slice.shard_key(shard)).await {
        Ok(_) => {
            // Its worker may have died before it asked for the step.
            context
                .queue
                .send(&SliceMessage { shard: None, ..message.clone() }, std::time::Duration::ZERO)
                .await?;
            Ok(Outcome::Stale { resent: true })
        }
        Err(StoreError::NotFound { .. }) => {
            tracing::error!(job = %message.job, slice = message.slice, shard, "a job was failed by its dead letter");
            let fail = |state: &JobState| {
                let (slice, next) = (message.slice, state.next_slice);
                if slice != next && !state.status.is_final() {
                    return Err(Refusal::StaleSlice { slice, next });
                }
                transition(state, Change::Fail { epoch: None, error: kept_failing() }, context.clock.now())
            };
            match jobs.update(&message.tenant, &message.job, fail).await {
                Ok(_) => {
                    slice.tidy().await;
                    Ok(Outcome::Failed)
                }
                Err(JobStoreError::Refused(Refusal::LeaseHeld { until })) => Err(DriverError::Busy { until }),
                Err(error) => match Failure::from(error) {
                    Failure::Lost(_) => Ok(Outcome::Stale { resent: false }),
                    Failure::Passing(error) => Err(error),
                    Failure::Permanent(error) => Err(DriverError::Slice(error.message)),
                },
            }
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "fan_out_tests.rs"]
mod tests;
