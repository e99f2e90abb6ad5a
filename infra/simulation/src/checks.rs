//! What must hold after every write that lands, and in the end.

use crate::owner::Told;
use crate::store::{SimStore, now};
use crate::tell;
use crate::trainer::{ADAPTER, flawless};
use jobs::{Quotas, Store, Usage};
use protocol::api::FileMeta;
use protocol::keys;
use protocol::receipt::DeletionReceipt;
use protocol::state::{JobState, Status, charged_job};
use std::collections::BTreeMap;

/// What is known of the jobs so far, by key.
pub(crate) struct Checks {
    quotas: Quotas,
    last: BTreeMap<String, JobState>,
    deleted: BTreeMap<String, DeletionReceipt>,
    /// Which lease committed a slice.
    commits: BTreeMap<(String, u64), u64>,
}

fn object(store: &SimStore, key: &str) -> Option<bytes::Bytes> {
    now(store.plain.get(key)).ok().map(|object| object.bytes)
}

impl Checks {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self { quotas, last: BTreeMap::new(), deleted: BTreeMap::new(), commits: BTreeMap::new() }
    }

    /// Looks at the objects that were just written.
    pub(crate) fn after_writes(&mut self, store: &SimStore) {
        let touched = std::mem::take(&mut *store.touched.lock().expect("one thread"));
        for key in touched.iter().filter(|key| key.ends_with("/state.json")) {
            self.state(store, key);
        }
        for key in touched.iter().filter(|key| key.starts_with(keys::USAGE_PREFIX)) {
            let usage = usage_under(store, key);
            assert!(
                usage.open.len() <= self.quotas.jobs as usize + self.redriven(),
                "{key}: too many jobs: {usage:?}"
            );
            assert!(usage.functions() <= self.quotas.functions, "{key}: too many functions: {usage:?}");
        }
    }

    fn state(&mut self, store: &SimStore, key: &str) {
        let Some(bytes) = object(store, key) else { panic!("{key}: a job's state was deleted") };
        let Ok(state) = serde_json::from_slice::<JobState>(&bytes) else {
            let receipt: DeletionReceipt = serde_json::from_slice(&bytes).expect("a state or a receipt");
            let before = self.last.get(key).expect("a job that was there");
            assert!(before.status.is_final(), "{key}: deleted while it ran");
            let first = self.deleted.entry(key.to_owned()).or_insert_with(|| receipt.clone());
            assert_eq!(*first, receipt, "{key}: a receipt was changed");
            return;
        };
        assert!(!self.deleted.contains_key(key), "{key}: a deleted job came back");
        tell(|| {
            let JobState { status, next_slice, redrives, lease, progress, .. } = &state;
            format!(
                "{key}: {status:?}, slice {next_slice}, step {}, redrives {redrives}, {lease:?}",
                progress.step
            )
        });
        if let Some(before) = self.last.get(key).cloned() {
            self.successor(key, &before, &state);
        }
        progress_is_flawless(store, key, &state);
        what_is_shown_is_paid(store, key, &state);
        self.last.insert(key.to_owned(), state);
    }

    fn successor(&mut self, key: &str, before: &JobState, state: &JobState) {
        if before == state {
            return;
        }
        let redriven = before.can_be_redriven() && state.status == Status::Queued;
        let discarded = JobState { discarded: true, ..before.clone() } == *state;
        assert!(
            !before.status.is_final() || redriven || discarded,
            "{key}: a job that is over was changed to {state:?}"
        );
        assert!(state.lease.epoch >= before.lease.epoch, "{key}: an epoch was used twice");
        assert!(state.progress.step >= before.progress.step, "{key}: steps were lost");
        assert!(state.published >= before.published, "{key}: what was shown is not remembered");
        let settled = before.losses.len().saturating_sub(1);
        assert_eq!(state.losses.get(..settled), before.losses.get(..settled), "{key}: a loss was changed");
        if state.next_slice != before.next_slice {
            assert_eq!(state.next_slice, before.next_slice + 1, "{key}: slices were left out");
            assert!(state.progress.step > before.progress.step, "{key}: a slice without a step");
            let slice = (key.to_owned(), before.next_slice);
            let earlier = self.commits.insert(slice, before.lease.epoch);
            assert_eq!(earlier, None, "{key}: two leases committed slice {}", before.next_slice);
        }
    }

    /// All is quiet: every job is over, and nothing is left but what belongs there.
    pub(crate) fn in_the_end(&self, store: &SimStore, told: &[Told], wishes: usize) {
        for told in told {
            let key = keys::job_state(&told.tenant, &told.job);
            let state =
                self.last.get(&key).unwrap_or_else(|| panic!("{key}: a job that was promised is lost"));
            assert_eq!(self.deleted.contains_key(&key), told.deleted, "{key}: {told:?}");
            if told.cancelled {
                assert_eq!(state.status, Status::Cancelled, "{key}");
            }
        }
        assert!(self.last.len() <= wishes, "{} jobs for {wishes} wishes", self.last.len());
        for (key, state) in &self.last {
            assert!(state.status.is_final(), "{key}: the job is stuck: {state:?}");
            self.remains(store, key, state);
        }
        self.accounts_are_exact(store);
        let usage = now(store.plain.list(keys::USAGE_PREFIX, None, 1000)).expect("a listing").keys;
        for key in usage {
            assert_eq!(usage_under(store, &key), Usage::default(), "{key}: places of jobs that are over");
        }
    }

    /// Jobs that were put back to work: these need no place among the others.
    fn redriven(&self) -> usize {
        self.last.values().filter(|job| job.redrives > 0).count()
    }

    fn remains(&self, store: &SimStore, key: &str, state: &JobState) {
        let folder = keys::job_folder(&state.tenant, &state.id);
        let found = now(store.plain.list(&folder, None, 1000)).expect("a listing").keys;
        let names: Vec<_> = found.iter().map(|key| &key[folder.len()..]).collect();
        let listed = results_of(store, state);
        if self.deleted.contains_key(key) {
            assert_eq!(names, ["state.json"], "{key}: something of a deleted job remains");
            assert_eq!(listed, 0, "{key}: results of a deleted job are listed");
            return;
        }
        match state.status {
            Status::Succeeded => {
                assert!(
                    names.iter().all(|name| *name == "state.json" || name.starts_with("adapter-")),
                    "{names:?}"
                );
                assert_eq!(listed, 2, "{key}: its adapter and certificate, once: {names:?}");
            }
            Status::Failed if state.can_be_redriven() => assert_eq!(listed, 0, "{key}"),
            _ => {
                assert_eq!(names, ["state.json"], "{key}: something of a job that ended early remains");
                assert_eq!(listed, 0, "{key}: results of a job that ended early are listed");
            }
        }
    }

    /// Each account holds what its jobs released, no more and no less.
    fn accounts_are_exact(&self, store: &SimStore) {
        for state in self.last.values() {
            let key = keys::ledger(&state.tenant, &state.protection.dataset);
            let ledger = object(store, &key).expect("the account of a job");
            let ledger: dp::Ledger = serde_json::from_slice(&ledger).expect("a ledger");
            let charged: Vec<_> =
                charges_of(&ledger, state).flat_map(|charge| charge.events.clone()).collect();
            assert_eq!(Some(charged), state.released(), "{}: charged for what it did not release", state.id);
        }
    }

    /// How the jobs ended: succeeded, cancelled, failed, deleted.
    pub(crate) fn tally(&self) -> [usize; 4] {
        let ended = |status| self.last.values().filter(|job| job.status == status).count();
        [ended(Status::Succeeded), ended(Status::Cancelled), ended(Status::Failed), self.deleted.len()]
    }

    /// Leases that were taken beyond those that were needed.
    pub(crate) fn repeated(&self) -> u64 {
        self.last.values().map(|job| job.lease.epoch.saturating_sub(job.next_slice + 1)).sum()
    }

    /// Jobs that failed on the service's side.
    pub(crate) fn redrivable(&self) -> Vec<JobState> {
        let alive = self.last.iter().filter(|(key, _)| !self.deleted.contains_key(*key));
        alive.map(|(_, job)| job).filter(|job| job.can_be_redriven()).cloned().collect()
    }

    /// All jobs as they were last.
    pub(crate) fn jobs(&self) -> Vec<JobState> {
        self.last.values().cloned().collect()
    }
}

/// Each committed step was made once, in order, from the checkpoint before.
fn progress_is_flawless(store: &SimStore, key: &str, state: &JobState) {
    if let Some(reference) = state.checkpoint.as_ref().filter(|_| !state.status.is_final()) {
        let bytes = object(store, &reference.key).unwrap_or_else(|| panic!("{key}: its checkpoint is gone"));
        assert!(bytes == flawless(state, reference.step), "{key}: a step was made twice or left out");
    }
    if state.status == Status::Succeeded && !state.discarded {
        let adapter = keys::adapter_file(&state.tenant, &state.id, state.lease.epoch, ADAPTER);
        let bytes = object(store, &adapter).unwrap_or_else(|| panic!("{key}: succeeded without an adapter"));
        let wanted = flawless(state, state.protection.plan.steps());
        assert!(bytes == wanted, "{key}: the adapter is not that of an undisturbed run");
    }
}

/// What was released is charged, and settled as no less.
fn what_is_shown_is_paid(store: &SimStore, key: &str, state: &JobState) {
    if !state.published && state.losses.is_empty() {
        return;
    }
    let ledger = object(store, &keys::ledger(&state.tenant, &state.protection.dataset));
    let ledger = ledger.unwrap_or_else(|| panic!("{key}: a release without a ledger"));
    let ledger: dp::Ledger = serde_json::from_slice(&ledger).expect("a ledger");
    let due = state.released().unwrap_or_else(|| vec![state.charge()]);
    let pays = |charge: &dp::Charge| charge.events == due || charge.events == [state.charge()];
    assert!(charges_of(&ledger, state).any(pays), "{key}: {due:?} is not paid for: {ledger:?}");
}

fn usage_under(store: &SimStore, key: &str) -> Usage {
    let bytes = object(store, key).expect("it was just written");
    serde_json::from_slice(&bytes).expect("usage")
}

/// The charges of all attempts at a job.
fn charges_of<'a>(ledger: &'a dp::Ledger, job: &'a JobState) -> impl Iterator<Item = &'a dp::Charge> {
    let of_job = |charge: &&dp::Charge| charged_job(&charge.id).is_some_and(|(id, _)| id == job.id);
    ledger.charges().iter().filter(of_job)
}

/// Files that are listed for the owner and hold results of the job.
fn results_of(store: &SimStore, state: &JobState) -> usize {
    let prefix = keys::files_prefix(&state.tenant);
    let found = now(store.plain.list(&prefix, None, 1000)).expect("a listing").keys;
    let metas = found.iter().filter(|key| key.ends_with("/meta.json")).filter_map(|key| object(store, key));
    let metas = metas.filter_map(|bytes| serde_json::from_slice::<FileMeta>(&bytes).ok());
    let folder = keys::job_folder(&state.tenant, &state.id);
    metas.filter(|meta| meta.content_key.starts_with(&folder)).count()
}
