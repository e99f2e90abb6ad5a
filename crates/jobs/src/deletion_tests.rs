use super::*;
use crate::store::{MemoryStore, PutCondition};
use crate::test_jobs::{self, CREATED};
use bytes::Bytes;
use protocol::keys;
use protocol::state::{Report, Status};

struct World {
    store: Arc<dyn Store>,
    jobs: JobStore,
    ledgers: LedgerStore,
    job: JobState,
}

impl World {
    /// A job that is charged and was taken by a worker.
    async fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (jobs, ledgers) = (JobStore::new(store.clone()), LedgerStore::new(store.clone()));
        let job = test_jobs::queued(1);
        let (dataset, budget) = (&job.protection.dataset, job.protection.budget);
        ledgers.charge(&job.tenant, dataset, budget, &job.id, job.charge(), CREATED).await.unwrap();
        jobs.create(&job).await.unwrap();
        let world = Self { store, jobs, ledgers, job };
        world.change(Change::Acquire { slice: 0, until: CREATED + 60 }).await.unwrap();
        world
    }

    async fn change(&self, change: Change) -> Result<(), JobStoreError> {
        let apply = |state: &JobState| transition(state, change.clone(), CREATED + 1);
        self.jobs.update(&self.job.tenant, &self.job.id, apply).await.map(|_| ())
    }

    async fn put(&self, key: &str) {
        self.store.put(key, Bytes::from_static(b"x"), PutCondition::Always).await.unwrap();
    }

    async fn delete(&self) -> Result<DeletionReceipt, DeletionError> {
        delete_job(&self.store, &self.job.tenant, &self.job.id, CREATED + 5).await
    }

    async fn keys(&self) -> Vec<String> {
        self.store.list("tenants/", None, 100).await.unwrap().keys
    }

    async fn charged(&self) -> Vec<dp::Charge> {
        let dataset = &self.job.protection.dataset;
        self.ledgers.load(&self.job.tenant, dataset).await.unwrap().unwrap().charges().to_vec()
    }
}

#[tokio::test]
async fn a_running_job_is_stopped_settled_and_gone_but_for_its_receipt() {
    let world = World::new().await;
    let (tenant, job) = (&world.job.tenant, &world.job.id);
    world.put(&keys::checkpoint(tenant, job, 1, 4)).await;
    world.put(&keys::shard(tenant, job, 0, 2)).await;
    let receipt = world.delete().await.unwrap();
    assert_eq!(
        (receipt.status, receipt.objects_deleted, receipt.deleted_at),
        (Status::Cancelled, 2, CREATED + 5)
    );
    assert_eq!(world.keys().await, [keys::job_state(tenant, job)]);
    assert_eq!(world.charged().await[0].events, [], "what it did not release is given back");
    let commit = Change::Report { epoch: 1, report: Report::default() };
    assert_eq!(
        world.change(commit).await,
        Err(JobStoreError::Deleted(receipt.clone())),
        "its worker is told"
    );
    assert_eq!(world.jobs.create(&world.job).await, Err(JobStoreError::Exists), "it never comes back");
    assert_eq!(world.delete().await.unwrap(), receipt, "deleting twice is fine");
}

#[tokio::test]
async fn an_adapter_goes_with_its_entries_and_what_it_cost_stays() {
    let world = World::new().await;
    world.change(Change::Publish { epoch: 1 }).await.unwrap();
    let running = world.jobs.load(&world.job.tenant, &world.job.id).await.unwrap().value;
    let files = vec![("adapter.txt".to_owned(), b"abc".to_vec())];
    let result_files = results::write(&*world.store, &running, files, CREATED).await.unwrap();
    assert_eq!(world.keys().await.len(), 3);
    world.change(Change::Succeed { epoch: 1, result_files, report: Report::default() }).await.unwrap();
    let receipt = world.delete().await.unwrap();
    assert_eq!((receipt.status, receipt.objects_deleted), (Status::Succeeded, 2));
    assert_eq!(world.keys().await.len(), 1);
    assert_eq!(world.charged().await[0].events, [world.job.charge()]);
    assert_eq!(receipt.released, [world.job.charge()]);
}

/// Found by the simulation: an operator put a job back to work between its checkpoint's deletion and its receipt.
#[tokio::test]
async fn a_job_that_is_being_deleted_is_never_put_back_to_work() {
    let world = World::new().await;
    let error = crate::driver::kept_failing();
    world.change(Change::Fail { epoch: Some(1), error }).await.unwrap();
    world.change(Change::Discard).await.unwrap();
    assert_eq!(
        world.change(Change::Redrive).await,
        Err(JobStoreError::Refused(protocol::transition::Refusal::NotRedrivable))
    );
}

/// Found by the simulation: a worker that had not noticed charged a deleted job again, and nobody gave that back.
#[tokio::test]
async fn a_charge_that_a_late_worker_makes_again_is_settled_by_the_receipt() {
    let world = World::new().await;
    world.delete().await.unwrap();
    world.ledgers.ensure_charged(&world.job, CREATED + 6).await.unwrap();
    assert_eq!(world.charged().await[0].events, [world.job.charge()]);
    world.ledgers.reconcile(&world.job.tenant, &world.job.protection.dataset, CREATED + 7).await.unwrap();
    assert_eq!(world.charged().await[0].events, []);
}

#[tokio::test]
async fn a_job_that_never_was_is_missing() {
    let world = World::new().await;
    let other = test_jobs::queued(2).id;
    let deleted = delete_job(&world.store, &world.job.tenant, &other, CREATED).await;
    assert_eq!(deleted, Err(DeletionError::Jobs(JobStoreError::Missing)));
    assert_eq!(world.keys().await.len(), 1);
}
