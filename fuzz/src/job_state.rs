//! A job's stored state: reading it, showing it, and the one function that changes it.

use std::sync::LazyLock;

use protocol::api::{EventObject, JobObject};
use protocol::error::ApiError;
use protocol::id::FileId;
use protocol::state::{CheckpointRef, JobState, LossPoint, Report};
use protocol::transition::{Change, transition};
use serde_json::Value;

use crate::check::shown;
use crate::fixtures::job;
use crate::input::{merged, parts};
use crate::memory::bounded;

static BASE: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(job()).expect("a job is plain data"));

/// The input is JSON that is merged into a queued job, and behind a separator one byte for each change.
pub fn run(input: &[u8]) {
    let [patch, changes] = parts(input);
    let text = merged(&BASE, patch);
    let Ok(mut state) = bounded(text.len(), || serde_json::from_slice::<JobState>(&text)) else { return };
    // Counters rise by one a change and are the service's own: none comes near 2⁵³.
    let counters = [state.lease.epoch, state.next_slice, state.next_event, state.progress.slices];
    if counters.iter().any(|&counter| counter >= 1 << 53) {
        return;
    }
    show(&state);
    for (index, &byte) in changes.iter().take(64).enumerate() {
        let now = 100 + 20 * index as u64;
        let change = change(&state, byte, now);
        if let Some(next) = shown(transition(&state, change, now)) {
            assert!(!state.status.is_final(), "a final job changed");
            assert!(next.progress.step >= state.progress.step, "a job fell back");
            assert!(next.lease.epoch >= state.lease.epoch && next.next_slice >= state.next_slice);
            assert!(next.losses.starts_with(&state.losses), "a released loss changed");
            show(&next);
            state = next;
        }
    }
}

fn show(state: &JobState) {
    let json = serde_json::to_vec(state).expect("a job is plain data");
    let again: JobState = serde_json::from_slice(&json).expect("what was written is read");
    assert_eq!(again, *state, "a job is read as it was written");
    JobObject::from_state(state, 100);
    for event in &state.events {
        EventObject::from_event(&state.id, event);
    }
    let released = state.released();
    assert_eq!(released.is_some(), state.status.is_final(), "only a job that is over is settled");
}

/// One of all changes; its low bits choose which, the others its numbers.
fn change(state: &JobState, byte: u8, now: u64) -> Change {
    let number = u64::from(byte >> 4);
    let epoch = state.lease.epoch.wrapping_sub(number & 1);
    let mut progress = state.progress.clone();
    progress.step = progress.step.saturating_add(number);
    let report = Report { progress, losses: vec![LossPoint { step: number, steps: 1, loss: 1.5 }] };
    let checkpoint = || CheckpointRef { key: "k".to_owned(), step: number, sha256: "00".repeat(32) };
    match byte & 7 {
        0 => Change::Acquire { slice: state.next_slice.wrapping_sub(number & 1), until: now + number },
        1 => Change::Report { epoch, report },
        2 => Change::Publish { epoch },
        3 => Change::Commit { epoch, checkpoint: checkpoint(), report },
        4 => Change::Succeed { epoch, result_files: vec![FileId::from_entropy([4; 12])], report },
        5 => Change::Fail {
            epoch: (number & 2 == 0).then_some(epoch),
            error: ApiError::internal().body().error,
        },
        6 => Change::Release { epoch },
        _ => Change::Cancel,
    }
}
