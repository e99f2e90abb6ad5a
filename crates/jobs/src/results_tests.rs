use super::*;
use crate::store::MemoryStore;
use crate::test_jobs::{self, CREATED};

fn files() -> Vec<(String, Vec<u8>)> {
    vec![("adapter.txt".into(), b"abc".to_vec()), ("privacy.json".into(), b"{}".to_vec())]
}

fn at_epoch(epoch: u64, status: Status) -> JobState {
    let mut state = test_jobs::queued(1);
    state.lease.epoch = epoch;
    state.status = status;
    state
}

async fn keys_of(store: &MemoryStore) -> Vec<String> {
    store.list("", None, 100).await.unwrap().keys
}

#[tokio::test]
async fn results_are_files_that_their_owner_can_find() {
    let store = MemoryStore::new();
    let job = at_epoch(3, Status::Running);
    let ids = write(&store, &job, files(), CREATED).await.unwrap();
    assert_eq!(ids, write(&store, &job, files(), CREATED).await.unwrap(), "a retry finds the same names");
    let meta = store.get(&keys::file_meta(&job.tenant, &ids[0])).await.unwrap();
    let meta: FileMeta = serde_json::from_slice(&meta.bytes).unwrap();
    assert_eq!(
        (meta.filename.as_str(), meta.bytes, meta.purpose.as_str()),
        ("adapter.txt", 3, PURPOSE_RESULTS)
    );
    assert_eq!(meta.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(store.get(&meta.content_key).await.unwrap().bytes, "abc");
}

#[tokio::test]
async fn a_name_that_is_a_path_writes_no_metadata() {
    let store = MemoryStore::new();
    let bad = vec![("../x".to_owned(), vec![])];
    assert!(write(&store, &at_epoch(1, Status::Running), bad, CREATED).await.is_err());
    assert!(keys_of(&store).await.is_empty());
}

async fn tidied(status: Status) -> Vec<String> {
    let store = Arc::new(MemoryStore::new());
    let jobs = JobStore::new(store.clone());
    write(&*store, &at_epoch(1, Status::Running), files(), CREATED).await.unwrap();
    let job = at_epoch(2, status);
    write(&*store, &job, files(), CREATED).await.unwrap();
    let checkpoint = keys::checkpoint(&job.tenant, &job.id, 1, 5);
    store.put(&checkpoint, Bytes::new(), PutCondition::Always).await.unwrap();
    jobs.create(&job).await.unwrap();
    let shared: Arc<dyn Store> = store.clone();
    tidy(&shared, &jobs, &job.tenant, &job.id).await;
    keys_of(&store).await
}

#[tokio::test]
async fn tidying_keeps_what_a_succeeded_job_refers_to_and_nothing_else() {
    let left = tidied(Status::Succeeded).await;
    assert_eq!(left.len(), 5, "the state, two results and their metadata: {left:?}");
    assert!(left.iter().all(|key| !key.contains("checkpoint") && !key.contains("adapter-1")));
    let left = tidied(Status::Cancelled).await;
    assert_eq!(left.len(), 1, "the state: {left:?}");
}

#[tokio::test]
async fn a_job_that_still_runs_is_left_alone() {
    assert_eq!(tidied(Status::Running).await.len(), 10);
}
