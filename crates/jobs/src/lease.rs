//! The lease: the right to run a job's next slice.
//!
//! Taking one is the one change whose wanted state two workers could have in common: both read the same state in the same second and want the same
//! next epoch. When the answer to such a put is lost, reading the wanted state back does not show whose put it was. [`acquire`] then gives that
//! epoch up and takes the next one in one write: if the doubtful lease was its own, nothing is lost; if it was another worker's, that one is fenced
//! and its work discarded. Either way no two workers ever hold one epoch.

use crate::job_store::{JobStore, JobStoreError, Versioned};
use protocol::message::SliceMessage;
use protocol::state::JobState;
use protocol::transition::{Change, Refusal, transition};

/// Takes the lease for the slice that `message` asks for, until `until`; both times in Unix seconds.
///
/// # Errors
/// [`JobStoreError::Refused`] as [`transition`] refuses; otherwise as [`JobStore::update`].
pub async fn acquire(
    jobs: &JobStore,
    message: &SliceMessage,
    until: u64,
    now: u64,
) -> Result<Versioned<JobState>, JobStoreError> {
    jobs.replace(&message.tenant, &message.job, |state, in_doubt| {
        leased(state, message.slice, until, now, in_doubt).map(Some)
    })
    .await
}

/// The state with the lease taken; a lease that may be our own is given up first.
fn leased(state: &JobState, slice: u64, until: u64, now: u64, in_doubt: bool) -> Result<JobState, Refusal> {
    let take = Change::Acquire { slice, until };
    if !in_doubt {
        return transition(state, take, now);
    }
    let released = transition(state, Change::Release { epoch: state.lease.epoch }, now)?;
    transition(&released, take, now)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
