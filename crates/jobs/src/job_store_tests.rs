use super::*;
use crate::store::{FailingStore, FaultPlan, MemoryStore};
use crate::test_jobs::{self, CREATED};
use protocol::state::Status;
use protocol::transition::{Change, transition};

fn memory() -> (Arc<MemoryStore>, JobStore) {
    let store = Arc::new(MemoryStore::new());
    (store.clone(), JobStore::new(store))
}

fn cancel(state: &JobState) -> Result<JobState, Refusal> {
    transition(state, Change::Cancel, CREATED + 1)
}

#[tokio::test]
async fn a_created_job_can_be_loaded_and_changed() {
    let (_, jobs) = memory();
    let state = test_jobs::queued(1);
    jobs.create(&state).await.unwrap();
    jobs.create(&state).await.expect("creating the very same job again is the retry of a lost answer");
    let updated = jobs.update(&state.tenant, &state.id, cancel).await.unwrap();
    assert_eq!(updated.value.status, Status::Cancelled);
    assert_eq!(jobs.load(&state.tenant, &state.id).await.unwrap(), updated);
    let again = jobs.update(&state.tenant, &state.id, cancel).await;
    assert_eq!(again, Err(JobStoreError::Refused(Refusal::Finished)));
}

#[tokio::test]
async fn another_job_of_the_same_name_is_refused() {
    let (_, jobs) = memory();
    let state = test_jobs::queued(1);
    jobs.create(&state).await.unwrap();
    let other = JobState { noise_seed: dp::SecretSeed::from_bytes([9; 32]), ..state.clone() };
    assert_eq!(jobs.create(&other).await, Err(JobStoreError::Exists));
    assert_eq!(jobs.load(&state.tenant, &state.id).await.unwrap().value, state);
}

#[tokio::test]
async fn missing_and_damaged_jobs_are_told_apart() {
    let (store, jobs) = memory();
    let state = test_jobs::queued(1);
    assert_eq!(jobs.load(&state.tenant, &state.id).await, Err(JobStoreError::Missing));
    assert_eq!(jobs.update(&state.tenant, &state.id, cancel).await, Err(JobStoreError::Missing));
    let key = keys::job_state(&state.tenant, &state.id);
    store.put(&key, Bytes::from_static(b"{\"version\":1"), PutCondition::Always).await.unwrap();
    assert_eq!(jobs.load(&state.tenant, &state.id).await, Err(JobStoreError::Damaged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_updates_are_all_applied() {
    let (_, jobs) = memory();
    let state = test_jobs::queued(1);
    jobs.create(&state).await.unwrap();
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..4 {
        let (jobs, state) = (jobs.clone(), state.clone());
        racers.spawn(async move {
            // The metadata stands for any change that does not commute with the others.
            let note = |state: &JobState| {
                let mut next = state.clone();
                next.spec.metadata.insert(format!("racer-{racer}"), String::new());
                Ok(next)
            };
            jobs.update(&state.tenant, &state.id, note).await.map(|_| ())
        });
    }
    while let Some(done) = racers.join_next().await {
        done.unwrap().expect("eight tries are enough for four racers");
    }
    assert_eq!(jobs.load(&state.tenant, &state.id).await.unwrap().value.spec.metadata.len(), 4);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_made_once() {
    for seed in 0..200 {
        let plan = FaultPlan { seed, before_per_mille: 100, after_per_mille: 300 };
        let store = Arc::new(FailingStore::new(MemoryStore::new(), plan));
        let jobs = JobStore::new(store.clone());
        let state = test_jobs::queued(1);
        if jobs.create(&state).await.is_err() {
            continue;
        }
        let count = |state: &JobState| {
            let mut next = state.clone();
            next.next_slice += 1;
            Ok(next)
        };
        let answer = jobs.update(&state.tenant, &state.id, count).await;
        let bytes = store.inner().get(&keys::job_state(&state.tenant, &state.id)).await.unwrap().bytes;
        let stored: JobState = serde_json::from_slice(&bytes).unwrap();
        match answer {
            Ok(_) => assert_eq!(stored.next_slice, 1, "seed {seed}"),
            Err(_) => assert!(stored.next_slice <= 1, "seed {seed}"),
        }
    }
}

#[tokio::test]
async fn jobs_are_listed_by_tenant_in_pages() {
    let (store, jobs) = memory();
    let states: Vec<JobState> = (1..=5).map(test_jobs::queued).collect();
    for state in &states {
        jobs.create(state).await.unwrap();
        let key = keys::checkpoint(&state.tenant, &state.id, 1, 2);
        store.put(&key, Bytes::new(), PutCondition::Always).await.unwrap();
    }
    let stranger = JobState { tenant: TenantId::parse("acme-2").unwrap(), ..test_jobs::queued(6) };
    jobs.create(&stranger).await.unwrap();
    let tenant = &states[0].tenant;
    let (first, more) = jobs.list(tenant, None, 3).await.unwrap();
    assert_eq!((first.len(), more), (3, true));
    let (rest, more) = jobs.list(tenant, first.last(), 3).await.unwrap();
    assert_eq!((rest.len(), more), (2, false));
    let all: Vec<JobId> = first.into_iter().chain(rest).collect();
    assert_eq!(all, states.iter().map(|state| state.id.clone()).collect::<Vec<_>>());
}
