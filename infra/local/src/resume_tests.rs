use super::{job_of, resume_jobs};
use jobs::{JobStore, LocalQueue, LocalQueueConfig, ManualClock, MemoryStore};
use protocol::hyperparameters::DpLoraRequest;
use protocol::id::{FileId, JobId, ModelId, TenantId};
use protocol::message::SliceMessage;
use protocol::state::{JobSpec, JobState, Protection};
use protocol::transition::{Change, transition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) fn job(tenant: &str, number: u8) -> JobState {
    let spec = JobSpec {
        model: ModelId::parse("m").unwrap(),
        training_file: FileId::from_entropy([number; 12]),
        suffix: None,
        dp_lora: DpLoraRequest::default().validate().unwrap(),
        metadata: BTreeMap::new(),
    };
    let protection = Protection {
        plan: spec.dp_lora.plan(4, dp::PrivacyUnit::Line).unwrap(),
        dataset: "00".repeat(32),
        budget: dp::Budget { epsilon: 20.0.try_into().unwrap(), delta: 1e-5.try_into().unwrap() },
    };
    let (id, seed) = (JobId::from_entropy([number; 12]), dp::SecretSeed::from_bytes([number; 32]));
    JobState::new(id, TenantId::parse(tenant).unwrap(), spec, protection, seed, NOW)
}

pub(crate) fn after(state: &JobState, changes: impl IntoIterator<Item = Change>) -> JobState {
    changes.into_iter().fold(state.clone(), |state, change| transition(&state, change, NOW).unwrap())
}

fn queue() -> LocalQueue {
    let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(60), max_receives: 5 };
    LocalQueue::in_memory(config, Arc::new(ManualClock::new(NOW)))
}

#[tokio::test]
async fn unfinished_jobs_of_all_tenants_go_on_with_a_free_lease() {
    let store = Arc::new(MemoryStore::new());
    let jobs = JobStore::new(store.clone());
    let queued = job("a", 1);
    let held = after(&job("b", 2), [Change::Acquire { slice: 0, until: NOW + 900 }]);
    let cancelled = after(&job("a", 3), [Change::Cancel]);
    for state in [&queued, &held, &cancelled] {
        jobs.create(state).await.unwrap();
    }
    let queue = queue();
    assert_eq!(resume_jobs(store.clone(), &queue, NOW).await.unwrap(), 2);
    let mut sent: Vec<SliceMessage> = Vec::new();
    while let Some(delivery) = queue.try_receive() {
        sent.push(serde_json::from_str(&delivery.body).unwrap());
    }
    assert_eq!(sent.iter().map(|message| &message.job).collect::<Vec<_>>(), [&queued.id, &held.id]);
    let released = jobs.load(&held.tenant, &held.id).await.unwrap().value;
    assert_eq!((released.lease.expires_at, released.lease.epoch), (None, 1));
    // The dead worker's epoch is fenced from here on.
    let late = Change::Release { epoch: 1 };
    assert!(transition(&released, late, NOW).is_err());
}

#[test]
fn only_states_are_read_as_jobs() {
    let job = "ftjob-000000000000000000000000";
    assert!(job_of(&format!("a/jobs/{job}/state.json")).is_some());
    for key in ["a/files/x/meta.json", "a/jobs/x/state.json", "A/jobs/ftjob-0/state.json", "state.json"] {
        assert_eq!(job_of(key), None, "{key}");
    }
    assert_eq!(job_of(&format!("a/jobs/{job}/checkpoint-1-2.safetensors")), None);
}
