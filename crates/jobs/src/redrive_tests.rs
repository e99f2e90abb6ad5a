use super::*;
use crate::clock::ManualClock;
use crate::queue::{LocalQueue, LocalQueueConfig};
use crate::store::{MemoryStore, PutCondition};
use crate::test_jobs::{self, CREATED};
use bytes::Bytes;
use protocol::error::ErrorObject;
use protocol::keys;
use protocol::state::{CheckpointRef, LossPoint, Progress, Report, Status};

struct World {
    store: Arc<dyn Store>,
    queue: LocalQueue,
    clock: Arc<ManualClock>,
    jobs: JobStore,
    ledgers: LedgerStore,
    job: JobState,
}

impl World {
    /// A job that has shown a loss, committed a slice, and failed with `error` at the second.
    async fn failed(error: ErrorObject) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::new(CREATED));
        let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(60), max_receives: 3 };
        let queue = LocalQueue::in_memory(config, clock.clone());
        let (jobs, ledgers) = (JobStore::new(store.clone()), LedgerStore::new(store.clone()));
        let job = test_jobs::queued(1);
        let (dataset, budget) = (&job.protection.dataset, job.protection.budget);
        ledgers.charge(&job.tenant, dataset, budget, &job.id, job.charge(), CREATED).await.unwrap();
        jobs.create(&job).await.unwrap();
        let world = Self { store, queue, clock, jobs, ledgers, job };
        world.change(Change::Acquire { slice: 0, until: CREATED + 60 }).await;
        let key = keys::checkpoint(&world.job.tenant, &world.job.id, 1, 4);
        world.store.put(&key, Bytes::from_static(b"x"), PutCondition::Always).await.unwrap();
        let progress = Progress { step: 4, total_steps: 12, ..Progress::default() };
        let report = Report { progress, losses: vec![LossPoint { step: 4, steps: 4, loss: 1.0 }] };
        let checkpoint = CheckpointRef { key, step: 4, sha256: "00".into() };
        world.change(Change::Commit { epoch: 1, checkpoint, report }).await;
        world.change(Change::Fail { epoch: None, error }).await;
        crate::results::tidy(&world.store, &world.jobs, &world.job.tenant, &world.job.id).await;
        world
    }

    async fn change(&self, change: Change) {
        let apply = |state: &JobState| transition(state, change.clone(), CREATED + 1);
        self.jobs.update(&self.job.tenant, &self.job.id, apply).await.unwrap();
    }

    async fn redrive(&self) -> Result<(), RedriveError> {
        redrive_job(&self.store, &self.queue, &*self.clock, &self.job.tenant, &self.job.id).await
    }

    async fn state(&self) -> JobState {
        self.jobs.load(&self.job.tenant, &self.job.id).await.unwrap().value
    }

    async fn charges(&self) -> Vec<(String, usize)> {
        let dataset = &self.job.protection.dataset;
        let ledger = self.ledgers.reconcile(&self.job.tenant, dataset, self.clock.now()).await.unwrap();
        ledger.unwrap().charges().iter().map(|charge| (charge.id.clone(), charge.events.len())).collect()
    }
}

#[tokio::test]
async fn a_job_goes_on_from_its_last_checkpoint_under_a_charge_of_its_own() {
    let world = World::failed(crate::driver::kept_failing()).await;
    let failed = world.state().await;
    assert!(failed.can_be_redriven());
    let checkpoint = failed.checkpoint.clone().unwrap();
    assert!(world.store.head(&checkpoint.key).await.is_ok(), "its checkpoint was kept");
    world.redrive().await.unwrap();
    let state = world.state().await;
    assert_eq!((state.status, state.next_slice, state.redrives), (Status::Queued, 1, 1));
    assert_eq!((state.checkpoint, state.error, state.finished_at), (failed.checkpoint, None, None));
    let message = world.queue.try_receive().unwrap();
    assert_eq!(
        message.body,
        serde_json::to_string(&SliceMessage::whole(&state.tenant, &state.id, 1)).unwrap()
    );
    world.redrive().await.unwrap();
    assert_eq!(world.state().await.redrives, 1, "twice does no harm");
}

/// Found by the simulation: the settlement of the failed attempt, which came late, took the charge of the next one.
#[tokio::test]
async fn a_late_settlement_of_the_failed_attempt_leaves_the_next_ones_charge_alone() {
    let world = World::failed(crate::driver::kept_failing()).await;
    let failed = world.state().await;
    world.redrive().await.unwrap();
    world.ledgers.settle(&failed).await.unwrap();
    let (first, second) = (failed.charge_name(), world.state().await.charge_name());
    assert_eq!(world.charges().await, [(first, 1), (second.clone(), 1)], "both, until its first slice");
    world.ledgers.ensure_charged(&world.state().await, CREATED + 3).await.unwrap();
    world.ledgers.settle(&failed).await.unwrap();
    assert_eq!(world.charges().await, [(second, 1)], "then one stands for both");
}

#[tokio::test]
async fn only_a_failure_on_the_services_side_is_undone() {
    let error = ErrorObject { message: "Bad file.".into(), r#type: "x".into(), param: None, code: None };
    let world = World::failed(error).await;
    let refused = RedriveError::Jobs(JobStoreError::Refused(Refusal::NotRedrivable));
    assert_eq!(world.redrive().await, Err(refused));
    assert_eq!(world.charges().await, [(world.job.id.to_string(), 1)], "its loss alone");
    let other = test_jobs::queued(2).id;
    let missing = redrive_job(&world.store, &world.queue, &*world.clock, &world.job.tenant, &other).await;
    assert_eq!(missing, Err(RedriveError::Jobs(JobStoreError::Missing)));
}

/// Found by the simulation: whoever tidied up the failed attempt, late, deleted a shard that the next attempt had counted on.
#[tokio::test]
async fn tidying_up_a_failed_attempt_leaves_the_shards_of_its_slice() {
    let world = World::failed(crate::driver::kept_failing()).await;
    let (tenant, job) = (&world.job.tenant, &world.job.id);
    let (old, due) = (keys::shard(tenant, job, 0, 2), keys::shard(tenant, job, 1, 2));
    for key in [&old, &due] {
        world.store.put(key, Bytes::from_static(b"x"), PutCondition::Always).await.unwrap();
    }
    crate::results::tidy(&world.store, &world.jobs, tenant, job).await;
    assert!(world.store.head(&old).await.is_err() && world.store.head(&due).await.is_ok());
}
