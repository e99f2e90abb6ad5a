use super::*;
use crate::clock::ManualClock;
use crate::job_store::Versioned;
use crate::ledger_store::LedgerStore;
use crate::queue::{LocalQueue, LocalQueueConfig};
use crate::runner::{Shards, SliceBudget, SliceError, SliceResult, SliceRunner};
use crate::store::{MemoryStore, PutCondition};
use crate::test_jobs::{self, CREATED, CountingRunner, Script, flawless};
use bytes::Bytes;
use protocol::keys;
use protocol::state::{LossPoint, Report, Status};

const LEASE: u64 = 60;
const LIMITS: Limits = Limits {
    lease_seconds: LEASE,
    max_slices: 50,
    max_receives: 3,
    watch_interval: Duration::from_millis(1),
    quotas: test_jobs::QUOTAS,
};

struct World {
    store: Arc<MemoryStore>,
    queue: Arc<LocalQueue>,
    clock: Arc<ManualClock>,
    context: DriverContext,
    job: JobState,
}

impl World {
    async fn new(runner: impl SliceRunner + 'static) -> Self {
        let clock = Arc::new(ManualClock::new(CREATED));
        let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(2 * LEASE), max_receives: 3 };
        let queue = Arc::new(LocalQueue::in_memory(config, clock.clone()));
        let store = Arc::new(MemoryStore::new());
        let context = DriverContext {
            store: store.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            runner: Arc::new(runner),
            limits: LIMITS,
        };
        let job = test_jobs::queued(1);
        JobStore::new(store.clone()).create(&job).await.unwrap();
        Self { store, queue, clock, context, job }
    }

    async fn run(&self, slice: u64, receive_count: u32) -> Result<Outcome, DriverError> {
        let attempt = Attempt { receive_count, deadline: Duration::from_secs(50) };
        let message = test_jobs::message(&self.job, slice);
        tokio::select! {
            done = run_message(&self.context, &message, attempt) => done,
            () = self.pass_time() => unreachable!("time passes for ever"),
        }
    }

    /// Lets a millisecond pass whenever everybody waits.
    async fn pass_time(&self) {
        loop {
            self.clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    }

    async fn state(&self) -> JobState {
        let jobs = JobStore::new(self.store.clone());
        let Versioned { value, .. } = jobs.load(&self.job.tenant, &self.job.id).await.unwrap();
        value
    }

    async fn change(&self, change: Change) {
        let jobs = JobStore::new(self.store.clone());
        let apply = |state: &JobState| transition(state, change.clone(), self.clock.now());
        jobs.update(&self.job.tenant, &self.job.id, apply).await.unwrap();
    }

    /// Slices that messages in the queue ask for.
    fn asked_for(&self) -> Vec<u64> {
        let bodies = std::iter::from_fn(|| self.queue.try_receive()).map(|delivery| delivery.body);
        bodies.map(|body| serde_json::from_str::<SliceMessage>(&body).unwrap().slice).collect()
    }

    async fn checkpoints(&self) -> usize {
        let keys = self.store.list("tenants/acme/jobs/", None, 100).await.unwrap().keys;
        keys.iter().filter(|key| key.contains("checkpoint-")).count()
    }
}

fn permanent() -> SliceError {
    let error = ErrorObject { message: "Bad file.".into(), r#type: "x".into(), param: None, code: None };
    SliceError::Permanent(error)
}

fn retryable() -> SliceError {
    SliceError::Retryable("the disk is full".into())
}

/// A trainer of jobs with one worker.
#[async_trait::async_trait]
trait Alone: Send + Sync {
    async fn slice(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError>;
}

#[async_trait::async_trait]
impl<Trainer: Alone> SliceRunner for Trainer {
    async fn run(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        self.slice(job, checkpoint, budget).await
    }

    async fn shard(
        &self,
        _: &JobState,
        _: Option<Bytes>,
        _: u32,
        _: SliceBudget,
    ) -> Result<Vec<u8>, SliceError> {
        unreachable!("a job of one worker has no shards")
    }

    async fn reduce(&self, _: &JobState, _: Option<Bytes>, _: Shards<'_>) -> Result<SliceResult, SliceError> {
        unreachable!("a job of one worker has no shards")
    }
}

#[tokio::test]
async fn a_job_goes_from_slice_to_slice_to_its_results() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Continued));
    assert_eq!(world.asked_for(), [1]);
    assert_eq!(world.run(1, 1).await, Ok(Outcome::Continued));
    assert_eq!(world.checkpoints().await, 1, "the old checkpoint is gone");
    assert_eq!(world.run(2, 1).await, Ok(Outcome::Succeeded));
    let state = world.state().await;
    assert_eq!((state.status, state.lease.epoch, state.progress.step), (Status::Succeeded, 3, 10));
    assert_eq!(world.checkpoints().await, 0);
    let adapter = keys::adapter_file(&state.tenant, &state.id, 3, "adapter.txt");
    assert_eq!(world.store.get(&adapter).await.unwrap().bytes, flawless(10));
    assert_eq!(state.result_files.len(), 2);
    assert_eq!(world.run(2, 2).await, Ok(Outcome::Finished));
}

#[tokio::test]
async fn a_message_that_meets_a_live_lease_is_given_back() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    world.change(Change::Acquire { slice: 0, until: CREATED + LEASE }).await;
    assert_eq!(world.run(0, 1).await, Err(DriverError::Busy { until: CREATED + LEASE }));
    world.clock.advance(Duration::from_secs(LEASE));
    assert_eq!(world.run(0, 2).await, Ok(Outcome::Continued), "its holder died, so it runs now");
}

#[tokio::test]
async fn a_stale_message_asks_for_the_next_slice_only_if_that_may_be_missing() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    world.run(0, 1).await.unwrap();
    assert_eq!(world.asked_for(), [1]);
    // Also at the first delivery: it may be a second one of a message whose first worker died after its commit.
    for receive_count in [1, 2] {
        assert_eq!(world.run(0, receive_count).await, Ok(Outcome::Stale { resent: true }));
        assert_eq!(world.asked_for(), [1]);
    }
    world.change(Change::Acquire { slice: 1, until: CREATED + LEASE }).await;
    assert_eq!(world.run(0, 2).await, Ok(Outcome::Stale { resent: false }), "somebody works on slice 1");
    assert!(world.asked_for().is_empty());
}

#[tokio::test]
async fn messages_for_nothing_are_dropped() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    assert_eq!(world.run(7, 1).await, Ok(Outcome::Dropped), "a slice that is not due");
    world.store.delete(&keys::job_state(&world.job.tenant, &world.job.id)).await.unwrap();
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Dropped), "a job that was deleted");
    let dead = settle_dead_letter(&world.context, &test_jobs::message(&world.job, 0)).await;
    assert_eq!(dead, Ok(Outcome::Dropped));
}

#[tokio::test]
async fn an_error_that_may_pass_gives_the_lease_back_and_the_last_one_fails_the_job() {
    let world = World::new(CountingRunner::new(10, || Script::Fail(retryable()))).await;
    for receive_count in 1..=2 {
        let answer = world.run(0, receive_count).await;
        assert_eq!(answer, Err(DriverError::Slice("the disk is full".into())));
        let state = world.state().await;
        assert_eq!((state.status, state.lease.expires_at), (Status::Running, None));
    }
    assert_eq!(world.run(0, 3).await, Ok(Outcome::Failed));
    let state = world.state().await;
    assert_eq!(state.status, Status::Failed);
    let error = state.error.unwrap();
    assert_eq!(error.code.as_deref(), Some("internal_error"));
    assert!(!error.message.contains("disk"), "the owner is not shown our innards");
}

#[tokio::test]
async fn an_error_that_cannot_pass_fails_the_job_at_once() {
    let world = World::new(CountingRunner::new(10, || Script::Fail(permanent()))).await;
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Failed));
    let state = world.state().await;
    assert_eq!((state.status, state.error.unwrap().message.as_str()), (Status::Failed, "Bad file."));
}

#[tokio::test]
async fn a_job_cannot_have_more_slices_than_allowed() {
    let world = World::new(CountingRunner::steps(1_000, 1)).await;
    for slice in 0..49 {
        assert_eq!(world.run(slice, 1).await, Ok(Outcome::Continued), "slice {slice}");
    }
    assert_eq!(world.run(49, 1).await, Ok(Outcome::Failed));
    let state = world.state().await;
    assert_eq!(state.error.unwrap().code.as_deref(), Some("job_too_long"));
    assert_eq!(world.checkpoints().await, 0, "a failed job leaves no checkpoint");
}

#[tokio::test]
async fn a_damaged_checkpoint_is_not_trained_on() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    world.run(0, 1).await.unwrap();
    let key = world.state().await.checkpoint.unwrap().key;
    world.store.put(&key, Bytes::from_static(b"0\n"), PutCondition::Always).await.unwrap();
    assert!(matches!(world.run(1, 1).await, Err(DriverError::Slice(_))));
    world.store.delete(&key).await.unwrap();
    assert!(matches!(world.run(1, 2).await, Err(DriverError::Store(StoreError::NotFound { .. }))));
    assert_eq!(world.state().await.progress.step, 4);
}

#[tokio::test]
async fn numbers_that_json_cannot_hold_never_reach_the_state() {
    struct Infinite;
    #[async_trait::async_trait]
    impl Alone for Infinite {
        async fn slice(
            &self,
            _: &JobState,
            _: Option<Bytes>,
            _: SliceBudget,
        ) -> Result<SliceResult, SliceError> {
            let progress = protocol::state::Progress { epsilon_spent: f64::INFINITY, ..Default::default() };
            let report = Report { progress, losses: Vec::new() };
            Ok(SliceResult::Paused { checkpoint: vec![], report })
        }
    }
    let world = World::new(Infinite).await;
    assert!(matches!(world.run(0, 1).await, Err(DriverError::Slice(_))));
    assert_eq!(world.state().await.status, Status::Running, "the state can still be read");
}

fn point(step: u64, loss: f64) -> LossPoint {
    LossPoint { step, steps: 1, loss }
}

/// The ledger of the world's one data set.
async fn ledger(world: &World) -> dp::Ledger {
    let ledgers = LedgerStore::new(world.store.clone());
    ledgers.load(&world.job.tenant, &world.job.protection.dataset).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_job_is_charged_before_its_first_step_and_settled_when_it_is_over() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Continued));
    assert!(ledger(&world).await.covers(world.job.id.as_str(), world.job.charge()));
    world.change(Change::Cancel).await;
    assert_eq!(world.run(1, 1).await, Ok(Outcome::Finished));
    let plan = &world.job.protection.plan;
    let charge = ledger(&world).await.charges()[0].clone();
    assert_eq!(charge.events, [plan.loss_event(4).unwrap()], "four losses were shown, and nothing else");
    assert_eq!(charge.state, dp::ChargeState::Settled);
}

#[tokio::test]
async fn a_job_whose_budget_went_to_others_fails_before_its_first_step() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    let ledgers = LedgerStore::new(world.store.clone());
    let (tenant, protection) = (&world.job.tenant, &world.job.protection);
    for number in 2.. {
        let other = protocol::id::JobId::from_entropy([number; 12]);
        let (dataset, budget, event) = (&protection.dataset, protection.budget, world.job.charge());
        if ledgers.charge(tenant, dataset, budget, &other, event, CREATED).await.is_err() {
            break;
        }
    }
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Failed));
    let state = world.state().await;
    assert_eq!(state.error.unwrap().code.as_deref(), Some("privacy_budget_exceeded"));
    assert_eq!((state.progress.step, state.losses), (0, vec![]));
}

/// Trains until it is told to stop.
struct Endless;

#[async_trait::async_trait]
impl Alone for Endless {
    async fn slice(
        &self,
        job: &JobState,
        _: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        while !budget.stop.is_raised() {
            tokio::task::yield_now().await;
        }
        let report = Report { progress: job.progress.clone(), losses: Vec::new() };
        Ok(SliceResult::Paused { checkpoint: b"0\n".to_vec(), report })
    }
}

#[tokio::test]
async fn a_cancelled_job_stops_its_running_slice_and_leaves_nothing() {
    let world = World::new(Endless).await;
    let (outcome, ()) = tokio::join!(world.run(0, 1), async {
        while world.state().await.status != Status::Running {
            tokio::task::yield_now().await;
        }
        world.change(Change::Cancel).await;
    });
    assert_eq!(outcome, Ok(Outcome::Finished));
    assert_eq!(world.state().await.status, Status::Cancelled);
    assert_eq!((world.checkpoints().await, world.asked_for().len()), (0, 0));
}

#[tokio::test]
async fn a_worker_that_was_overtaken_stops_and_changes_nothing() {
    let world = World::new(Endless).await;
    let (outcome, ()) = tokio::join!(world.run(0, 1), async {
        while world.state().await.status != Status::Running {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(LEASE));
        world.change(Change::Acquire { slice: 0, until: CREATED + 3 * LEASE }).await;
    });
    assert_eq!(outcome, Err(DriverError::Fenced));
    let state = world.state().await;
    assert_eq!((state.lease.epoch, state.next_slice), (2, 0));
    assert!(state.lease.is_live(world.clock.now()), "the successor keeps its lease");
}

#[tokio::test]
async fn a_dead_letter_fails_its_job_unless_that_goes_on_without_it() {
    let world = World::new(CountingRunner::steps(10, 4)).await;
    let settle =
        async |slice| settle_dead_letter(&world.context, &test_jobs::message(&world.job, slice)).await;
    world.run(0, 1).await.unwrap();
    world.asked_for();
    assert_eq!(settle(0).await, Ok(Outcome::Stale { resent: true }), "the next slice may have no message");
    assert_eq!(world.asked_for(), [1]);
    world.change(Change::Acquire { slice: 1, until: CREATED + LEASE }).await;
    assert_eq!(settle(0).await, Ok(Outcome::Stale { resent: false }));
    assert_eq!(
        settle(1).await,
        Err(DriverError::Busy { until: CREATED + LEASE }),
        "somebody still works on it"
    );
    world.clock.advance(Duration::from_secs(LEASE));
    assert_eq!(settle(1).await, Ok(Outcome::Failed));
    assert_eq!(world.state().await.status, Status::Failed);
    assert_eq!(settle(1).await, Ok(Outcome::Finished));
}

/// Says that it is at step 3, and goes on only when the job's state shows it.
struct Reporting(Arc<std::sync::OnceLock<Arc<MemoryStore>>>);

#[async_trait::async_trait]
impl Alone for Reporting {
    async fn slice(
        &self,
        job: &JobState,
        _: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        let progress = |step| protocol::state::Progress { step, total_steps: 4, ..Default::default() };
        let jobs = JobStore::new(self.0.get().unwrap().clone());
        let report = |step, losses| Report { progress: progress(step), losses };
        budget.live.set(report(3, vec![point(1, 5.0), point(3, 4.0)]));
        while jobs.load(&job.tenant, &job.id).await.unwrap().value.live != Some(progress(3)) {
            tokio::task::yield_now().await;
        }
        Ok(SliceResult::Paused { checkpoint: vec![1], report: report(2, vec![point(1, 5.5)]) })
    }
}

#[tokio::test]
async fn a_running_slice_shows_how_far_it_is_without_committing_it() {
    let store = Arc::new(std::sync::OnceLock::new());
    let world = World::new(Reporting(store.clone())).await;
    assert!(store.set(world.store.clone()).is_ok());
    assert_eq!(world.run(0, 1).await, Ok(Outcome::Continued));
    let state = world.state().await;
    assert_eq!((state.live, state.progress.step), (None, 2), "only what is committed stays");
    assert_eq!(state.losses, [point(1, 5.0), point(3, 4.0)], "but what was released stays as it was shown");
}
