//! Programs that are no workers show what is done with their processes; the real one is tested with the command line.

use super::*;
use crate::data_dir::Credentials;
use jobs::{LocalQueue, LocalQueueConfig, ManualClock, MemoryStore, Queue, SystemClock};
use std::path::Path;

/// Far longer than anything here takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(60);

struct World {
    folder: tempfile::TempDir,
    sqs: Arc<EmbeddedSqs>,
    queue: Arc<LocalQueue>,
    store: Arc<MemoryStore>,
}

fn world() -> World {
    let config = LocalQueueConfig { visibility_timeout: LONG, max_receives: 5 };
    let queue = Arc::new(LocalQueue::in_memory(config, Arc::new(SystemClock::new())));
    let sqs = Arc::new(EmbeddedSqs::new(queue.clone()));
    World { folder: tempfile::tempdir().unwrap(), sqs, queue, store: Arc::new(MemoryStore::new()) }
}

impl World {
    /// Processes that run `script`, a shell's text, with their assignment as `$line` and this world's folder as `$here`.
    fn processes(&self, script: &str, clock: Arc<dyn Clock>) -> Processes {
        let scratch = self.folder.path().to_owned();
        std::fs::write(scratch.join("script"), script).unwrap();
        // One that is never written to: a program that somebody still writes to cannot be started.
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script_worker.sh");
        let assignment = Assignment {
            s3_url: "http://127.0.0.1:1".into(),
            credentials: Credentials { access_key: "AK".into(), secret_key: "the secret".into() },
            sqs_url: "http://127.0.0.1:2".into(),
            capability: String::new(),
            threads: 1,
            slice_seconds: 1,
            scratch,
        };
        let (sqs, store) = (self.sqs.clone(), self.store.clone());
        Processes { program, assignment, sqs, store, clock, pids: Pids::default() }
    }

    async fn until_lines(&self, name: &str, count: usize) -> Vec<String> {
        let path = self.folder.path().join(name);
        let mut turns = tokio::time::interval(Duration::from_millis(10));
        let reading = async {
            loop {
                turns.tick().await;
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if text.matches('\n').count() >= count {
                    return text.lines().map(str::to_owned).collect();
                }
            }
        };
        tokio::time::timeout(LONG, reading).await.expect("the program writes in time")
    }
}

async fn ended(task: JoinHandle<()>) {
    tokio::time::timeout(LONG, task).await.expect("it ends in time").unwrap();
}

#[tokio::test]
async fn a_process_is_told_its_own_capability_on_its_input_alone_and_ends_when_that_is_closed() {
    let world = world();
    let script = r#"
        echo "$arguments" >> "$here/arguments"
        env > "$here/environment.$$"
        echo "$line" >> "$here/lines"
        cat > /dev/null
        echo end >> "$here/ends"
    "#;
    let processes = world.processes(script, Arc::new(SystemClock::new()));
    let pids = processes.pids.clone();
    let (stop, stopped) = watch::channel(false);
    let task = processes.keep(2, &stopped);
    let lines = world.until_lines("lines", 2).await;
    let told: Vec<Assignment> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_ne!(told[0].capability, told[1].capability);
    assert_eq!(world.until_lines("arguments", 2).await, ["worker", "worker"]);
    for pid in pids.all() {
        let environment = world.folder.path().join(format!("environment.{pid}"));
        let environment = std::fs::read_to_string(environment).unwrap();
        for secret in [&told[0].capability, &told[1].capability, "the secret"] {
            assert!(!environment.contains(secret), "a secret stands in the environment");
        }
    }
    assert_eq!(pids.all().len(), 2);
    stop.send(true).unwrap();
    ended(task).await;
    assert_eq!(world.until_lines("ends", 2).await.len(), 2);
    assert!(pids.all().is_empty());
    for assignment in &told {
        assert!(world.sqs.revoke(&assignment.capability).is_empty(), "its capability is over");
    }
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_after_a_pause_that_grows() {
    let world = world();
    let clock = Arc::new(ManualClock::new(1_000));
    let processes = world.processes(r#"echo start >> "$here/starts"; exit 3"#, clock.clone());
    let (stop, stopped) = watch::channel(false);
    let task = processes.keep(1, &stopped);
    let mut starts = 1;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        world.until_lines("starts", starts).await;
        clock.until_asleep().await;
        // A moment before its end the pause still holds: nothing wakes the sleeper.
        clock.advance(Duration::from_secs(pause) - Duration::from_millis(1));
        clock.until_asleep().await;
        assert_eq!(world.until_lines("starts", starts).await.len(), starts, "after {pause} s");
        clock.advance(Duration::from_millis(1));
        starts += 1;
    }
    world.until_lines("starts", starts).await;
    stop.send(true).unwrap();
    ended(task).await;
}

#[tokio::test]
async fn a_process_that_does_not_end_is_killed() {
    let world = world();
    let clock = Arc::new(ManualClock::new(1_000));
    let script = r#"echo $$ >> "$here/pid"; exec sleep 100000"#;
    let processes = world.processes(script, clock.clone());
    let (stop, stopped) = watch::channel(false);
    let task = processes.keep(1, &stopped);
    let pid = world.until_lines("pid", 1).await[0].clone();
    stop.send(true).unwrap();
    clock.until_asleep().await;
    assert!(Path::new("/proc").join(&pid).exists(), "it has time to end by itself");
    clock.advance(PATIENCE + GRACE);
    ended(task).await;
    assert!(!Path::new("/proc").join(&pid).exists());
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_no_end_of_the_service() {
    let world = world();
    let clock = Arc::new(ManualClock::new(1_000));
    let mut processes = world.processes("", clock.clone());
    processes.program = world.folder.path().join("missing");
    let (stop, stopped) = watch::channel(false);
    let task = processes.keep(1, &stopped);
    clock.until_asleep().await;
    assert!(!task.is_finished());
    stop.send(true).unwrap();
    ended(task).await;
}

mod leases {
    use super::*;
    use crate::resume::tests::{NOW, after, job};
    use protocol::id::JobId;
    use protocol::transition::Change;

    /// A job that a worker holds the lease of, and two deliveries of messages for it to two workers.
    async fn held_by(world: &World, first: &SliceMessage, second: &SliceMessage) -> [String; 2] {
        let mut capabilities = [String::new(), String::new()];
        for (capability, message) in capabilities.iter_mut().zip([first, second]) {
            *capability = world.sqs.admit(&OsEntropy);
            world.queue.send(message, Duration::ZERO).await.unwrap();
            world.sqs.hold_next(capability);
        }
        capabilities
    }

    async fn is_leased(world: &World, state: &protocol::state::JobState) -> bool {
        let jobs = JobStore::new(world.store.clone());
        jobs.load(&state.tenant, &state.id).await.unwrap().value.lease.expires_at.is_some()
    }

    #[tokio::test]
    async fn a_dead_workers_lease_is_released_and_its_message_shown_unless_another_works_on_the_job() {
        let world = world();
        let processes = world.processes("", Arc::new(ManualClock::new(NOW)));
        let state = after(&job("a", 1), [Change::Acquire { slice: 0, until: NOW + 900 }]);
        JobStore::new(world.store.clone()).create(&state).await.unwrap();
        let message = SliceMessage::whole(&state.tenant, &state.id, 0);
        let [first, second] = held_by(&world, &message, &message).await;
        assert_eq!(world.queue.visible(), 0);
        processes.take_back(world.sqs.revoke(&first)).await;
        assert!(is_leased(&world, &state).await, "the other may hold the lease");
        assert_eq!(world.queue.visible(), 1);
        processes.take_back(world.sqs.revoke(&second)).await;
        assert!(!is_leased(&world, &state).await);
        assert_eq!(world.queue.visible(), 2);
    }

    #[tokio::test]
    async fn shards_are_worked_on_without_a_lease() {
        let world = world();
        let processes = world.processes("", Arc::new(ManualClock::new(NOW)));
        let state = after(&job("a", 1), [Change::Acquire { slice: 0, until: NOW + 900 }]);
        JobStore::new(world.store.clone()).create(&state).await.unwrap();
        let shard = SliceMessage::shard(&state.tenant, &state.id, 0, 1);
        let whole = SliceMessage::whole(&state.tenant, &state.id, 0);
        let other_shard = SliceMessage::shard(&state.tenant, &state.id, 0, 2);
        let [first, second] = held_by(&world, &shard, &whole).await;
        let [_third, _] = held_by(&world, &other_shard, &shard).await;
        processes.take_back(world.sqs.revoke(&first)).await;
        assert!(is_leased(&world, &state).await, "a shard's worker held no lease");
        processes.take_back(world.sqs.revoke(&second)).await;
        assert!(!is_leased(&world, &state).await, "those of other shards hold none either");
        assert_eq!(world.queue.visible(), 2);
    }

    #[tokio::test]
    async fn a_lease_for_another_slice_is_not_the_dead_workers() {
        let world = world();
        let processes = world.processes("", Arc::new(ManualClock::new(NOW)));
        let state = after(&job("a", 1), [Change::Acquire { slice: 0, until: NOW + 900 }]);
        JobStore::new(world.store.clone()).create(&state).await.unwrap();
        // As one that was committed before, whose next slice another worker has begun.
        let other_slice = SliceMessage::whole(&state.tenant, &state.id, 7);
        let other_job = SliceMessage::whole(&state.tenant, &JobId::from_entropy([9; 12]), 0);
        let [first, second] = held_by(&world, &other_slice, &other_job).await;
        processes.take_back(world.sqs.revoke(&first)).await;
        // A job that is not there any more is no obstacle.
        processes.take_back(world.sqs.revoke(&second)).await;
        assert!(is_leased(&world, &state).await);
        assert_eq!(world.queue.visible(), 2);
    }
}
