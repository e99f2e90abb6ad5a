use super::*;
use crate::error::ApiError;
use crate::fixtures::queued_job;
use crate::id::FileId;
use crate::state::LossPoint;
use proptest::prelude::*;

pub(crate) fn queued() -> JobState {
    queued_job(false)
}

fn report(step: u64) -> Report {
    Report { progress: progress(step), losses: Vec::new() }
}

fn progress(step: u64) -> Progress {
    Progress { step, total_steps: 10, epsilon_spent: step as f64 / 10.0, ..Default::default() }
}

fn checkpoint(step: u64) -> CheckpointRef {
    CheckpointRef { key: format!("checkpoint-{step}"), step, sha256: "00".into() }
}

fn acquired(state: &JobState, now: u64) -> JobState {
    transition(state, Change::Acquire { slice: state.next_slice, until: now + 60 }, now).unwrap()
}

fn failure() -> ErrorObject {
    ApiError::invalid("training_failed", None, "It cannot work.").body().error
}

#[test]
fn the_normal_way_from_queued_to_succeeded() {
    let running = acquired(&queued(), 101);
    assert_eq!((running.status, running.lease.epoch), (Status::Running, 1));
    let between =
        transition(&running, Change::Commit { epoch: 1, checkpoint: checkpoint(4), report: report(4) }, 110)
            .unwrap();
    assert_eq!((between.status, between.next_slice, between.lease.expires_at), (Status::Running, 1, None));
    let again = acquired(&between, 111);
    assert_eq!(again.lease.epoch, 2);
    let files = vec![FileId::from_entropy([9; 12])];
    let succeed = Change::Succeed { epoch: 2, result_files: files.clone(), report: report(10) };
    assert_eq!(transition(&again, succeed.clone(), 119), Err(Refusal::NotPublished));
    let published = transition(&again, Change::Publish { epoch: 2 }, 119).unwrap();
    let done = transition(&published, succeed, 120).unwrap();
    assert_eq!((done.status, done.result_files, done.finished_at), (Status::Succeeded, files, Some(120)));
}

#[test]
fn a_second_worker_cannot_take_a_live_lease_but_an_expired_one() {
    let running = acquired(&queued(), 101);
    let steal = Change::Acquire { slice: 0, until: 900 };
    assert_eq!(transition(&running, steal.clone(), 160), Err(Refusal::LeaseHeld { until: 161 }));
    let stolen = transition(&running, steal, 161).unwrap();
    assert_eq!(stolen.lease.epoch, 2);
    let zombie = Change::Commit { epoch: 1, checkpoint: checkpoint(5), report: report(5) };
    assert_eq!(transition(&stolen, zombie, 162), Err(Refusal::Fenced { epoch: 1, current: 2 }));
}

#[test]
fn messages_of_other_slices_are_told_apart() {
    let running = acquired(&queued(), 101);
    let between =
        transition(&running, Change::Commit { epoch: 1, checkpoint: checkpoint(4), report: report(4) }, 110)
            .unwrap();
    assert_eq!(
        transition(&between, Change::Acquire { slice: 0, until: 200 }, 111),
        Err(Refusal::StaleSlice { slice: 0, next: 1 })
    );
    assert_eq!(
        transition(&between, Change::Acquire { slice: 2, until: 200 }, 111),
        Err(Refusal::FutureSlice { slice: 2, next: 1 })
    );
}

#[test]
fn a_released_lease_can_be_taken_at_once_and_its_old_holder_is_fenced() {
    let running = acquired(&queued(), 101);
    let released = transition(&running, Change::Release { epoch: 1 }, 102).unwrap();
    let late = Change::Commit { epoch: 1, checkpoint: checkpoint(4), report: report(4) };
    assert!(matches!(transition(&released, late, 102), Err(Refusal::Fenced { .. })));
    assert_eq!(acquired(&released, 102).lease.epoch, 2);
}

#[test]
fn a_report_is_shown_but_never_committed() {
    let running = acquired(&queued(), 101);
    let reported = transition(&running, Change::Report { epoch: 1, report: report(7) }, 102).unwrap();
    assert_eq!((reported.live.as_ref().map(|p| p.step), reported.progress.step), (Some(7), 0));
    let shown = crate::api::JobObject::from_state(&reported, 102).progress;
    assert_eq!(shown.step, 7);
    let zombie = Change::Report { epoch: 0, report: report(8) };
    assert_eq!(transition(&reported, zombie, 103), Err(Refusal::Fenced { epoch: 0, current: 1 }));
    let taken_over = transition(&reported, Change::Acquire { slice: 0, until: 300 }, 161).unwrap();
    assert_eq!(taken_over.live, None, "what was not committed is taken back");
    let committed = Change::Commit { epoch: 2, checkpoint: checkpoint(4), report: report(4) };
    assert!(
        transition(&taken_over, committed, 162).is_ok(),
        "a report never blocks a commit that is behind it"
    );
}

fn with_losses(step: u64, points: &[(u64, f64)]) -> Change {
    let losses = points.iter().map(|&(step, loss)| LossPoint { step, steps: 1, loss }).collect();
    Change::Report { epoch: 1, report: Report { progress: progress(step), losses } }
}

#[test]
fn a_released_loss_stays_as_it_was_first_told() {
    let running = acquired(&queued_job(true), 101);
    let told = transition(&running, with_losses(2, &[(1, 5.0), (2, 4.0)]), 102).unwrap();
    // The next report holds the whole slice so far; a repeated step may differ in its last bits and must not show it.
    let told = transition(&told, with_losses(3, &[(1, 5.1), (2, 4.1), (3, f64::NAN)]), 103).unwrap();
    let told = transition(&told, with_losses(4, &[(4, 3.5)]), 104).unwrap();
    let points: Vec<_> = told.losses.iter().map(|point| (point.step, point.loss)).collect();
    assert_eq!(points, [(1, 5.0), (2, 4.0), (4, 3.5)]);
    let taken_over = transition(&told, Change::Acquire { slice: 0, until: 300 }, 200).unwrap();
    assert_eq!(taken_over.losses, told.losses, "what was shown cannot be unseen");
}

#[test]
fn what_a_job_released_follows_from_how_it_ended() {
    let running = acquired(&queued_job(true), 101);
    assert_eq!(running.released(), None);
    let told = transition(&running, with_losses(4, &[(2, 5.0), (4, 4.0)]), 102).unwrap();
    let plan = &told.protection.plan;
    let cancelled = transition(&told, Change::Cancel, 103).unwrap();
    assert_eq!(cancelled.released(), Some(vec![plan.loss_event(4).unwrap()]));
    assert_eq!(transition(&running, Change::Cancel, 103).unwrap().released(), Some(vec![]));
    let published = transition(&told, Change::Publish { epoch: 1 }, 103).unwrap();
    let cancelled = transition(&published, Change::Cancel, 104).unwrap();
    assert_eq!(cancelled.released(), Some(vec![plan.event()]), "its owner may have seen the adapter");
    let zombie = Change::Publish { epoch: 0 };
    assert_eq!(transition(&running, zombie, 103), Err(Refusal::Fenced { epoch: 0, current: 1 }));
}

#[test]
fn cancelling_fences_the_worker_and_is_final() {
    let running = acquired(&queued(), 101);
    let cancelled = transition(&running, Change::Cancel, 105).unwrap();
    assert_eq!((cancelled.status, cancelled.finished_at), (Status::Cancelled, Some(105)));
    let late = Change::Succeed { epoch: 1, result_files: vec![], report: report(10) };
    assert_eq!(transition(&cancelled, late, 106), Err(Refusal::Finished));
    assert_eq!(transition(&cancelled, Change::Cancel, 106), Err(Refusal::Finished));
}

#[test]
fn the_dead_letter_path_fails_a_job_only_when_no_lease_is_live() {
    let running = acquired(&queued(), 101);
    let fail = Change::Fail { epoch: None, error: failure() };
    assert_eq!(transition(&running, fail.clone(), 120), Err(Refusal::LeaseHeld { until: 161 }));
    let failed = transition(&running, fail.clone(), 161).unwrap();
    assert_eq!((failed.status, failed.error), (Status::Failed, Some(failure())));
    assert_eq!(transition(&queued(), fail, 101).unwrap().status, Status::Failed);
}

#[test]
fn a_state_survives_storage_and_its_debug_hides_the_seed() {
    let state = acquired(&queued(), 101);
    let stored = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<JobState>(&stored).unwrap(), state);
    assert!(!format!("{state:?}").contains("0707"), "the seed must not be printed");
}

#[test]
fn old_events_make_room_and_numbers_are_never_used_twice() {
    let mut state = queued();
    for i in 0..(2 * crate::state::MAX_EVENTS as u64) {
        state.record(i, Level::Info, "x", false);
    }
    assert_eq!(state.events.len(), crate::state::MAX_EVENTS);
    assert!(state.events.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
}

#[derive(Debug, Clone)]
enum Op {
    Acquire { back: u64, lease: u64 },
    Commit { epoch_back: u64, steps: u64 },
    Succeed { epoch_back: u64 },
    Fail { epoch_back: Option<u64> },
    Release { epoch_back: u64 },
    Report { epoch_back: u64, steps: u64 },
    Publish { epoch_back: u64 },
    Cancel,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u64..2, 1u64..30).prop_map(|(back, lease)| Op::Acquire { back, lease }),
        6 => (0u64..3, 0u64..4).prop_map(|(epoch_back, steps)| Op::Commit { epoch_back, steps }),
        1 => (0u64..3).prop_map(|epoch_back| Op::Succeed { epoch_back }),
        1 => proptest::option::of(0u64..3).prop_map(|epoch_back| Op::Fail { epoch_back }),
        2 => (0u64..3).prop_map(|epoch_back| Op::Release { epoch_back }),
        3 => (0u64..3, 0u64..9).prop_map(|(epoch_back, steps)| Op::Report { epoch_back, steps }),
        1 => (0u64..3).prop_map(|epoch_back| Op::Publish { epoch_back }),
        1 => Just(Op::Cancel),
    ]
}

fn change(state: &JobState, op: &Op, now: u64) -> Change {
    let epoch = |back: &u64| state.lease.epoch.saturating_sub(*back);
    let ahead = |steps: u64| report(state.progress.step + steps);
    match op {
        Op::Acquire { back, lease } => {
            Change::Acquire { slice: state.next_slice.saturating_sub(*back), until: now + lease }
        }
        Op::Commit { epoch_back, steps } => Change::Commit {
            epoch: epoch(epoch_back),
            checkpoint: checkpoint(state.progress.step + steps),
            report: ahead(*steps),
        },
        Op::Succeed { epoch_back } => {
            Change::Succeed { epoch: epoch(epoch_back), result_files: vec![], report: ahead(1) }
        }
        Op::Fail { epoch_back } => Change::Fail { epoch: epoch_back.as_ref().map(epoch), error: failure() },
        Op::Release { epoch_back } => Change::Release { epoch: epoch(epoch_back) },
        Op::Report { epoch_back, steps } => {
            Change::Report { epoch: epoch(epoch_back), report: ahead(*steps) }
        }
        Op::Publish { epoch_back } => Change::Publish { epoch: epoch(epoch_back) },
        Op::Cancel => Change::Cancel,
    }
}

proptest! {
    /// Whatever happens in whatever order, the invariants of the module's head hold.
    #[test]
    fn invariants_hold_under_any_history(ops in proptest::collection::vec((op(), 0u64..20), 1..60)) {
        let mut state = queued();
        let mut now = 100;
        for (op, wait) in ops {
            now += wait;
            let wanted = change(&state, &op, now);
            let held = state.lease.expires_at.is_some();
            let Ok(next) = transition(&state, wanted.clone(), now) else { continue };
            prop_assert!(!state.status.is_final());
            prop_assert!(next.progress.step >= state.progress.step && next.progress.epsilon_spent >= state.progress.epsilon_spent);
            let (takes, commits) = (matches!(wanted, Change::Acquire { .. }), matches!(wanted, Change::Commit { .. }));
            prop_assert!(next.lease.epoch == state.lease.epoch + u64::from(takes));
            prop_assert!(next.next_slice == state.next_slice + u64::from(commits));
            prop_assert!(!next.status.is_final() || next.lease.expires_at.is_none());
            prop_assert!(next.published || (!state.published && next.status != Status::Succeeded));
            if let Change::Commit { epoch, .. } | Change::Succeed { epoch, .. } | Change::Release { epoch } = wanted {
                prop_assert!(held && epoch == state.lease.epoch);
            }
            state = next;
        }
    }
}

fn service_fault() -> ErrorObject {
    ErrorObject { code: Some(crate::state::SERVICE_FAULT.into()), ..failure() }
}

#[test]
fn a_failure_on_the_services_side_can_be_undone_and_no_other_end() {
    let running = acquired(&queued(), 101);
    let fail = |error| transition(&running, Change::Fail { epoch: Some(1), error }, 110).unwrap();
    let redriven = transition(&fail(service_fault()), Change::Redrive, 120).unwrap();
    assert_eq!((redriven.status, redriven.redrives, redriven.finished_at), (Status::Queued, 1, None));
    assert_eq!(redriven.error, None);
    let again = acquired(&redriven, 121);
    assert_eq!(again.lease.epoch, 2, "the failed worker stays fenced");
    for other in [running.clone(), fail(failure()), transition(&running, Change::Cancel, 110).unwrap()] {
        assert_eq!(transition(&other, Change::Redrive, 120), Err(Refusal::NotRedrivable));
    }
}

#[test]
fn a_discarded_job_is_over_and_stays_so() {
    let running = acquired(&queued(), 101);
    let discarded = transition(&running, Change::Discard, 110).unwrap();
    assert_eq!((discarded.status, discarded.discarded), (Status::Cancelled, true));
    let failed = transition(&running, Change::Fail { epoch: Some(1), error: service_fault() }, 110).unwrap();
    let discarded = transition(&failed, Change::Discard, 111).unwrap();
    assert_eq!((discarded.status, discarded.finished_at), (Status::Failed, Some(110)), "it ended as it did");
    assert_eq!(transition(&discarded, Change::Redrive, 120), Err(Refusal::NotRedrivable));
}

#[test]
fn the_steps_of_several_workers_tell_a_hundred_events_and_losses_by_the_mean() {
    let mut state = queued_job(true);
    state.spec.dp_lora.workers = 4;
    let steps = 1_000;
    state.progress.total_steps = steps;
    let before = state.events.len();
    for step in 1..steps {
        state = acquired(&state, 100);
        let progress = Progress { step, total_steps: steps, ..Default::default() };
        let losses = vec![LossPoint { step, steps: 1, loss: step as f64 }];
        let epoch = state.lease.epoch;
        let report = Report { progress, losses };
        state =
            transition(&state, Change::Commit { epoch, checkpoint: checkpoint(step), report }, 101).unwrap();
    }
    assert_eq!(state.events.len() - before, 1 + 99, "a worker took it, and every hundredth");
    assert_eq!(state.losses.len(), 200);
    assert_eq!(state.losses[0], LossPoint { step: 5, steps: 5, loss: 3.0 });
    assert_eq!(state.losses[199], LossPoint { step: 999, steps: 4, loss: 997.5 });
}

#[test]
fn a_charges_name_tells_job_and_attempt() {
    let state = queued();
    for redrives in [0, 1, 12] {
        let name = crate::state::charge_name(&state.id, redrives);
        assert_eq!(crate::state::charged_job(&name), Some((state.id.clone(), redrives)));
    }
    for nonsense in ["", "a+b", "ftjob-1+1", &format!("{}+x", state.id), &format!("{}+1+1", state.id)] {
        assert_eq!(crate::state::charged_job(nonsense), None, "{nonsense}");
    }
}
