use super::*;
use crate::clock::ManualClock;
use crate::driver::{Limits, run_message, settle_dead_letter};
use crate::queue::{LocalQueue, LocalQueueConfig};
use crate::runner::SliceError;
use crate::store::{FailingStore, FaultPlan, MemoryStore, Store};
use crate::test_jobs::{self, CREATED, CountingRunner, Script, flawless};
use protocol::state::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const WORKERS: u32 = 3;
const LIMITS: Limits = Limits {
    lease_seconds: 60,
    max_slices: 50,
    max_receives: 3,
    watch_interval: Duration::from_secs(3_600),
    quotas: test_jobs::QUOTAS,
};

struct World {
    store: Arc<MemoryStore>,
    queue: Arc<LocalQueue>,
    context: DriverContext,
    job: JobState,
}

impl World {
    /// With a job of three workers.
    async fn with(runner: CountingRunner) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::new(CREATED));
        let config = LocalQueueConfig { visibility_timeout: Duration::from_secs(120), max_receives: 3 };
        let queue = Arc::new(LocalQueue::in_memory(config, clock.clone()));
        let runner = Arc::new(runner);
        let context =
            DriverContext { store: store.clone(), queue: queue.clone(), clock, runner, limits: LIMITS };
        let job = test_jobs::fanned_out(1, WORKERS);
        JobStore::new(store.clone()).create(&job).await.unwrap();
        Self { store, queue, context, job }
    }

    async fn run(&self, message: &SliceMessage, receive_count: u32) -> Result<Outcome, DriverError> {
        let attempt = Attempt { receive_count, deadline: Duration::from_secs(50) };
        run_message(&self.context, message, attempt).await
    }

    fn whole(&self, slice: u64) -> SliceMessage {
        SliceMessage::whole(&self.job.tenant, &self.job.id, slice)
    }

    fn shard(&self, slice: u64, shard: u32) -> SliceMessage {
        SliceMessage::shard(&self.job.tenant, &self.job.id, slice, shard)
    }

    /// All messages that are visible, which are gone then.
    fn asked_for(&self) -> Vec<(u64, Option<u32>)> {
        let mut found = Vec::new();
        while let Some(delivery) = self.queue.try_receive() {
            let message: SliceMessage = serde_json::from_str(&delivery.body).unwrap();
            self.queue.ack(&delivery.receipt).unwrap();
            found.push((message.slice, message.shard));
        }
        found
    }

    async fn state(&self) -> JobState {
        JobStore::new(self.store.clone()).load(&self.job.tenant, &self.job.id).await.unwrap().value
    }

    async fn names(&self) -> Vec<String> {
        let folder = keys::job_folder(&self.job.tenant, &self.job.id);
        let found = self.store.list(&folder, None, 100).await.unwrap().keys;
        found.iter().map(|key| key[folder.len()..].to_owned()).collect()
    }
}

const SHARDS: [(u64, Option<u32>); 3] = [(0, Some(0)), (0, Some(1)), (0, Some(2))];

#[tokio::test]
async fn a_job_goes_from_step_to_step_by_its_shards() {
    let world = World::with(CountingRunner::steps(2, 1)).await;
    assert_eq!(world.run(&world.whole(0), 1).await, Ok(Outcome::FannedOut));
    assert_eq!(world.asked_for(), SHARDS);
    assert!(world.state().await.lease.expires_at.is_none(), "the last shard's step must find the lease free");
    for shard in [2, 0] {
        assert_eq!(world.run(&world.shard(0, shard), 1).await, Ok(Outcome::ShardDone));
        assert_eq!(world.asked_for(), []);
    }
    assert_eq!(world.run(&world.shard(0, 1), 1).await, Ok(Outcome::ShardDone));
    assert_eq!(world.asked_for(), [(0, None)], "the last one asks for the step");
    assert_eq!(world.run(&world.whole(0), 1).await, Ok(Outcome::Continued));
    assert_eq!(world.asked_for(), [(1, Some(0)), (1, Some(1)), (1, Some(2))]);
    assert!(
        !world.names().await.iter().any(|name| name.starts_with("shard-0-")),
        "what was added up is gone"
    );
    for shard in 0..WORKERS {
        world.run(&world.shard(1, shard), 1).await.unwrap();
    }
    assert_eq!(world.run(&world.whole(1), 1).await, Ok(Outcome::Succeeded));
    let state = world.state().await;
    let adapter = keys::adapter_file(&state.tenant, &state.id, state.lease.epoch, "adapter.txt");
    assert_eq!(world.store.get(&adapter).await.unwrap().bytes, flawless(2));
    assert!(world.names().await.iter().all(|name| name == "state.json" || name.starts_with("adapter-")));
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for_again_and_a_shard_is_computed_once() {
    let computed = Arc::new(AtomicU32::new(0));
    let count = computed.clone();
    let script = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Script::Steps(1)
    };
    let world = World::with(CountingRunner::new(2, script)).await;
    world.run(&world.shard(0, 1), 1).await.unwrap();
    world.run(&world.shard(0, 1), 2).await.unwrap();
    assert_eq!(computed.load(Ordering::Relaxed), 1);
    assert_eq!(world.run(&world.whole(0), 1).await, Ok(Outcome::FannedOut));
    assert_eq!(world.asked_for(), [(0, Some(0)), (0, Some(2))]);
}

/// Found by the simulation: one delivery of the last shard's message was acknowledged before the slice was complete, the other died right after.
#[tokio::test]
async fn whoever_finds_the_slice_complete_asks_for_the_step_also_at_a_second_delivery() {
    let world = World::with(CountingRunner::steps(2, 1)).await;
    for shard in 0..WORKERS {
        world.run(&world.shard(0, shard), 1).await.unwrap();
    }
    assert_eq!(world.asked_for(), [(0, None)]);
    for shard in 0..WORKERS {
        assert_eq!(world.run(&world.shard(0, shard), 1).await, Ok(Outcome::ShardDone));
        assert_eq!(world.asked_for(), [(0, None)]);
    }
}

/// Found by the simulation: a store that did not answer was taken for a shard that is there.
#[tokio::test]
async fn a_shard_that_cannot_be_looked_for_is_not_there() {
    let world = World::with(CountingRunner::steps(2, 1)).await;
    let mut failed = 0;
    for seed in 0..40 {
        let plan = FaultPlan { seed, before_per_mille: 200, after_per_mille: 100 };
        let flaky = Arc::new(FailingStore::new(MemoryStore::new(), plan));
        let inner = flaky.inner();
        let state = bytes::Bytes::from(serde_json::to_vec(&world.job).unwrap());
        let key = keys::job_state(&world.job.tenant, &world.job.id);
        inner.put(&key, state, PutCondition::IfAbsent).await.unwrap();
        let context = DriverContext { store: flaky.clone(), ..world.context.clone() };
        let attempt = Attempt { receive_count: 1, deadline: Duration::from_secs(50) };
        match run_message(&context, &world.shard(0, 0), attempt).await {
            Ok(Outcome::ShardDone) => {
                let stored = keys::shard(&world.job.tenant, &world.job.id, 0, 0);
                assert!(flaky.inner().head(&stored).await.is_ok(), "seed {seed}: done, and not there");
            }
            Ok(other) => panic!("seed {seed}: {other:?}"),
            Err(_) => failed += 1,
        }
    }
    assert!((5..40).contains(&failed), "{failed} of 40 failed");
}

#[tokio::test]
async fn a_step_that_was_made_is_not_asked_for_again_once_the_next_shards_were() {
    let world = World::with(CountingRunner::steps(3, 1)).await;
    for shard in 0..WORKERS {
        world.run(&world.shard(0, shard), 1).await.unwrap();
    }
    world.run(&world.whole(0), 1).await.unwrap();
    world.asked_for();
    assert_eq!(world.run(&world.whole(0), 2).await, Ok(Outcome::Stale { resent: false }));
    // Its sender died before it had asked for all of them.
    let asked = keys::shards_asked(&world.job.tenant, &world.job.id, 1);
    world.store.delete(&asked).await.unwrap();
    assert_eq!(world.run(&world.whole(0), 2).await, Ok(Outcome::Stale { resent: true }));
    assert_eq!(world.asked_for(), [(1, None)]);
}

#[tokio::test]
async fn a_late_shard_leaves_nothing_and_is_dropped() {
    let world = World::with(CountingRunner::steps(3, 1)).await;
    for shard in 0..WORKERS {
        world.run(&world.shard(0, shard), 1).await.unwrap();
    }
    world.run(&world.whole(0), 1).await.unwrap();
    assert_eq!(world.run(&world.shard(0, 1), 2).await, Ok(Outcome::Stale { resent: false }));
    assert_eq!(world.run(&world.shard(1, WORKERS), 1).await, Ok(Outcome::Dropped), "no such shard");
    assert_eq!(world.run(&world.shard(7, 0), 1).await, Ok(Outcome::Dropped), "not due");
    assert!(!world.names().await.iter().any(|name| name.starts_with("shard-0-")));
}

#[tokio::test]
async fn a_shard_that_keeps_failing_fails_the_job() {
    let failing = || CountingRunner::new(3, || Script::Fail(SliceError::Retryable("no memory".into())));
    let world = World::with(failing()).await;
    let message = world.shard(0, 1);
    assert!(matches!(world.run(&message, 1).await, Err(DriverError::Slice(_))));
    assert_eq!(world.state().await.status, Status::Queued);
    assert_eq!(world.run(&message, 3).await, Ok(Outcome::Failed));
    assert!(world.state().await.can_be_redriven());

    // Or its worker dies every time, and the message becomes a dead letter.
    let world = World::with(failing()).await;
    assert_eq!(settle_dead_letter(&world.context, &message).await, Ok(Outcome::Failed));
    assert_eq!(settle_dead_letter(&world.context, &message).await, Ok(Outcome::Finished));
}

#[tokio::test]
async fn a_dead_letter_whose_shard_is_there_asks_for_the_step() {
    let world = World::with(CountingRunner::steps(3, 1)).await;
    world.run(&world.shard(0, 1), 1).await.unwrap();
    let settled = settle_dead_letter(&world.context, &world.shard(0, 1)).await;
    assert_eq!(settled, Ok(Outcome::Stale { resent: true }));
    assert_eq!(world.asked_for(), [(0, None)]);
}
