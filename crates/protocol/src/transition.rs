//! The one pure function that changes a job.
//!
//! ```text
//!             Acquire                     Commit (lease given back, slice + 1)
//!   queued ────────────▶ running ◀───────────────┐
//!     │                  │ │ │ └──── Acquire ────┘
//!     │ Cancel    Cancel │ │ │ Succeed
//!     ▼                  ▼ │ └──────────▶ succeeded
//!   cancelled ◀──────────┘ │ Fail
//!                          └────────────▶ failed
//! ```
//!
//! Redrive takes a job that failed for a reason on the service's side back to `queued`: it goes on from its last checkpoint, with the same noise.
//!
//! Discard stops a job whose owner wants it deleted; what is over stays as it is, but cannot be redriven.
//!
//! Fail is also allowed from `queued` (a job whose message kept dying is failed by the dead-letter path). `succeeded`, `failed` and
//! `cancelled` are final: every other change is refused, so a worker that still runs when its job is cancelled finds its commit refused and stops.
//!
//! Report says how far a running slice is, which every other change takes back, and which losses it released, which stay. Publish allows the
//! holder to write the adapter where its owner can see it: a job that is cancelled after that has cost all it was charged.
//!
//! Invariant: what a lease holder writes (Report, Publish, Commit, Succeed, Fail, Release) is refused unless it names the present epoch. A worker that lost
//! its lease, to expiry or to a successor, can therefore never change the job: its epoch is old.
//!
//! Invariant: the step and the ε spent never fall, and a slice number is committed once.

use crate::error::ErrorObject;
use crate::id::FileId;
use crate::state::{CheckpointRef, JobState, Level, Progress, Report, Status};

/// A change somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A worker with a message for `slice` wants to run it, until `until` (Unix seconds).
    Acquire {
        /// Slice number of the message.
        slice: u64,
        /// End of the lease.
        until: u64,
    },
    /// The holder says how far it is within its slice. Only for the owner's eyes: nothing is committed by it but the losses it shows.
    Report {
        /// The holder's epoch.
        epoch: u64,
        /// How far the slice is now.
        report: Report,
    },
    /// The holder is about to write the adapter.
    Publish {
        /// The holder's epoch.
        epoch: u64,
    },
    /// The holder finished a slice and more remain.
    Commit {
        /// The holder's epoch.
        epoch: u64,
        /// Where the next slice starts.
        checkpoint: CheckpointRef,
        /// How far the job is now.
        report: Report,
    },
    /// The holder finished the job; the adapter is written.
    Succeed {
        /// The holder's epoch.
        epoch: u64,
        /// The adapter's files.
        result_files: Vec<FileId>,
        /// Final progress.
        report: Report,
    },
    /// The job cannot succeed. `epoch` is the holder's, or none for the dead-letter path, which only acts when no lease is live.
    Fail {
        /// The holder's epoch, if a holder says so.
        epoch: Option<u64>,
        /// Why, in OpenAI's shape.
        error: ErrorObject,
    },
    /// The holder gives up for now (an error that may pass); the message will come again.
    Release {
        /// The holder's epoch.
        epoch: u64,
    },
    /// The owner stops the job.
    Cancel,
    /// The owner wants the job deleted: it is stopped if it runs, and never put back to work.
    Discard,
    /// The operator puts a job back to work that failed for a reason on the service's side.
    Redrive,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The job is in a final status.
    #[error("the job is finished")]
    Finished,
    /// Somebody else runs this slice until then.
    #[error("another worker holds the lease until {until}")]
    LeaseHeld {
        /// Unix seconds.
        until: u64,
    },
    /// The message's slice was committed before.
    #[error("slice {slice} is done; slice {next} comes next")]
    StaleSlice {
        /// Slice of the message.
        slice: u64,
        /// Slice that is due.
        next: u64,
    },
    /// The message is for a slice that is not due yet; no correct sender makes one.
    #[error("slice {slice} is not due; slice {next} comes next")]
    FutureSlice {
        /// Slice of the message.
        slice: u64,
        /// Slice that is due.
        next: u64,
    },
    /// The writer's lease is no longer the present one.
    #[error("epoch {epoch} was fenced by epoch {current}")]
    Fenced {
        /// The writer's epoch.
        epoch: u64,
        /// The present epoch.
        current: u64,
    },
    /// Only a failure on the service's side can be undone.
    #[error("the job did not fail for a reason on the service's side")]
    NotRedrivable,
    /// A job cannot succeed before its adapter was published.
    #[error("the adapter was not published")]
    NotPublished,
    /// The writer's progress is behind the job's.
    #[error("progress would fall from step {from} to step {to}")]
    Backwards {
        /// Step of the job.
        from: u64,
        /// Step of the writer.
        to: u64,
    },
}

/// The state after `change` at `now` (Unix seconds), or why it is refused. Pure: the same arguments give the same answer.
///
/// # Errors
/// A [`Refusal`]; the state stays as it was.
pub fn transition(state: &JobState, change: Change, now: u64) -> Result<JobState, Refusal> {
    if state.status.is_final() && !matches!(change, Change::Redrive | Change::Discard) {
        return Err(Refusal::Finished);
    }
    let mut next = state.clone();
    next.live = None;
    match change {
        Change::Report { epoch, report } => {
            check_epoch(&next, epoch)?;
            next.keep_losses(&report.losses);
            next.live = Some(report.progress);
        }
        Change::Publish { epoch } => {
            check_epoch(&next, epoch)?;
            next.published = true;
        }
        Change::Acquire { slice, until } => acquire(&mut next, slice, until, now)?,
        Change::Commit { epoch, checkpoint, report } => commit(&mut next, epoch, checkpoint, report, now)?,
        Change::Succeed { epoch, result_files, report } => {
            succeed(&mut next, epoch, result_files, report, now)?
        }
        Change::Fail { epoch, error } => fail(&mut next, epoch, error, now)?,
        Change::Release { epoch } => {
            check_epoch(&next, epoch)?;
            next.lease.expires_at = None;
        }
        Change::Redrive => redrive(&mut next, now)?,
        Change::Discard => {
            if !next.status.is_final() {
                cancel(&mut next, now);
            }
            next.discarded = true;
        }
        Change::Cancel => cancel(&mut next, now),
    }
    Ok(next)
}

fn acquire(state: &mut JobState, slice: u64, until: u64, now: u64) -> Result<(), Refusal> {
    let next = state.next_slice;
    if slice < next {
        return Err(Refusal::StaleSlice { slice, next });
    }
    if slice > next {
        return Err(Refusal::FutureSlice { slice, next });
    }
    if let Some(until) = state.lease.expires_at.filter(|_| state.lease.is_live(now)) {
        return Err(Refusal::LeaseHeld { until });
    }
    state.lease.epoch += 1;
    state.lease.expires_at = Some(until);
    if state.status == Status::Queued {
        state.status = Status::Running;
        state.record(now, Level::Info, "A worker has taken the job.", false);
    }
    Ok(())
}

fn commit(
    state: &mut JobState,
    epoch: u64,
    checkpoint: CheckpointRef,
    report: Report,
    now: u64,
) -> Result<(), Refusal> {
    check_epoch(state, epoch)?;
    let before = state.progress.step;
    advance(state, report)?;
    state.checkpoint = Some(checkpoint);
    state.lease.expires_at = None;
    state.next_slice += 1;
    let Progress { step, total_steps, .. } = state.progress;
    // Of a job with several workers each step is a slice: a hundred of them tell the story as well.
    let hundredth = |step: u64| step.saturating_mul(100) / total_steps.max(1);
    if state.spec.dp_lora.workers == 1 || hundredth(step) != hundredth(before) {
        state.record(now, Level::Info, format!("Step {step} of {total_steps} is done."), true);
    }
    Ok(())
}

fn succeed(
    state: &mut JobState,
    epoch: u64,
    files: Vec<FileId>,
    report: Report,
    now: u64,
) -> Result<(), Refusal> {
    check_epoch(state, epoch)?;
    if !state.published {
        return Err(Refusal::NotPublished);
    }
    advance(state, report)?;
    state.result_files = files;
    let message = format!(
        "Training is finished: {} steps. The adapter and its certificate can be downloaded.",
        state.progress.step
    );
    finish(state, Status::Succeeded, Level::Info, message, now);
    Ok(())
}

fn fail(state: &mut JobState, epoch: Option<u64>, error: ErrorObject, now: u64) -> Result<(), Refusal> {
    match (epoch, state.lease.expires_at.filter(|_| state.lease.is_live(now))) {
        (Some(epoch), _) => check_epoch(state, epoch)?,
        (None, Some(until)) => return Err(Refusal::LeaseHeld { until }),
        (None, None) => {}
    }
    let message = error.message.clone();
    state.error = Some(error);
    finish(state, Status::Failed, Level::Error, message, now);
    Ok(())
}

fn cancel(state: &mut JobState, now: u64) {
    finish(state, Status::Cancelled, Level::Info, "The job was cancelled by its owner.", now);
}

fn redrive(state: &mut JobState, now: u64) -> Result<(), Refusal> {
    if !state.can_be_redriven() {
        return Err(Refusal::NotRedrivable);
    }
    state.status = Status::Queued;
    state.redrives += 1;
    (state.error, state.finished_at) = (None, None);
    state.record(now, Level::Info, "The service's operator has put the job back to work.", true);
    Ok(())
}

fn finish(state: &mut JobState, status: Status, level: Level, message: impl Into<String>, now: u64) {
    state.status = status;
    state.finished_at = Some(now);
    state.lease.expires_at = None;
    state.record(now, level, message, status == Status::Succeeded);
}

/// An expired lease that nobody took over is still its holder's: only a newer epoch fences.
fn check_epoch(state: &JobState, epoch: u64) -> Result<(), Refusal> {
    let current = state.lease.epoch;
    if epoch == current && state.lease.expires_at.is_some() {
        Ok(())
    } else {
        Err(Refusal::Fenced { epoch, current })
    }
}

fn advance(state: &mut JobState, report: Report) -> Result<(), Refusal> {
    let progress = report.progress;
    let (from, to) = (state.progress.step, progress.step);
    if to < from || progress.epsilon_spent < state.progress.epsilon_spent {
        return Err(Refusal::Backwards { from, to });
    }
    state.keep_losses(&report.losses);
    state.progress = Progress { slices: state.progress.slices + 1, ..progress };
    Ok(())
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
