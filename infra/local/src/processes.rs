//! Worker processes, from the service's side: started, watched, started again when they die, and ended.
//!
//! A process that has ended holds nothing: the leases of its jobs are released and its messages shown again at once, before the next one starts.
//! So a job goes on with what it last committed, as it does when a function dies on AWS, only without waiting for lease and visibility timeout.

use crate::error::LocalError;
use crate::resume::resume;
use crate::sqs::{EmbeddedSqs, Held};
use crate::worker_process::{Assignment, PATIENCE};
use api_function::OsEntropy;
use jobs::{Clock, JobStore, JobStoreError, Store};
use protocol::message::SliceMessage;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Pause before a process that died is started again; twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A process that lived this long did not die of how it was started.
const SETTLED: Duration = Duration::from_secs(60);

/// How much longer a process gets than it gives itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Keeps worker processes running.
pub(crate) struct Processes {
    /// Called with the one argument `worker`.
    pub(crate) program: PathBuf,
    /// What each is told, but for the capability.
    pub(crate) assignment: Assignment,
    /// Where they get messages.
    pub(crate) sqs: Arc<EmbeddedSqs>,
    /// Where their leases lie.
    pub(crate) store: Arc<dyn Store>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Those that run.
    pub(crate) pids: Pids,
}

/// The ids of the running worker processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pids(Arc<Mutex<BTreeSet<u32>>>);

impl Pids {
    /// All of them, sorted.
    pub(crate) fn all(&self) -> Vec<u32> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        // Every change is one operation, so a panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process with a capability of its own.
struct Running {
    child: Child,
    pid: u32,
    /// The process works while this is open.
    input: ChildStdin,
}

impl Processes {
    /// Keeps `count` processes running until `stop` changes, then ends them.
    pub(crate) fn keep(self, count: usize, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
        let processes = Arc::new(self);
        let mut slots = JoinSet::new();
        for _ in 0..count {
            slots.spawn(processes.clone().keep_one(stop.clone()));
        }
        tokio::spawn(async move {
            slots.join_all().await;
        })
    }

    async fn keep_one(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        while !*stop.borrow() {
            let (capability, started) = (self.sqs.admit(&OsEntropy), self.clock.monotonic());
            let ended = self.run(&capability, &mut stop).await;
            self.take_back(self.sqs.revoke(&capability)).await;
            if *stop.borrow() {
                return;
            }
            if self.clock.monotonic().saturating_sub(started) >= SETTLED {
                pause = FIRST_PAUSE;
            }
            tracing::warn!(ended, ?pause, "a worker process has ended and is started again");
            tokio::select! {
                _ = stop.changed() => return,
                () = self.clock.sleep(pause) => pause = (2 * pause).min(LONGEST_PAUSE),
            }
        }
    }

    /// Runs one process to its end; returns how it ended.
    async fn run(&self, capability: &str, stop: &mut watch::Receiver<bool>) -> String {
        let mut running = match self.start(capability).await {
            Ok(running) => running,
            Err(error) => return error.to_string(),
        };
        let died = tokio::select! {
            status = running.child.wait() => Some(status),
            _ = stop.changed() => None,
        };
        let ended = match died {
            Some(status) => status.map_or_else(|error| error.to_string(), |status| status.to_string()),
            None => self.end(&mut running.child, running.input).await,
        };
        self.pids.lock().remove(&running.pid);
        ended
    }

    async fn start(&self, capability: &str) -> Result<Running, LocalError> {
        let failed = |source| LocalError::Io { path: self.program.clone(), source };
        let assignment = Assignment { capability: capability.to_owned(), ..self.assignment.clone() };
        let line = assignment.to_line()?;
        let mut command = Command::new(&self.program);
        command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::null());
        // A group of its own: Ctrl-C at the terminal is the service's to answer.
        let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(failed)?;
        let missing = || failed(std::io::Error::other("it ended at once"));
        let (pid, input) = child.id().zip(child.stdin.take()).ok_or_else(missing)?;
        let mut running = Running { child, pid, input };
        self.pids.lock().insert(pid);
        if let Err(error) = running.input.write_all(line.as_bytes()).await {
            // It is dead already, which the wait for it tells.
            tracing::warn!(%error, "a worker process did not read what it is to do");
        }
        Ok(running)
    }

    /// Asks a process to end, and kills it when it does not.
    async fn end(&self, child: &mut Child, input: ChildStdin) -> String {
        drop(input);
        tokio::select! {
            status = child.wait() => return format!("{status:?}"),
            () = self.clock.sleep(PATIENCE + GRACE) => {}
        }
        match child.kill().await {
            Ok(()) => "killed, for it did not end".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Releases what a process that has ended still held: first the leases, so that whoever gets a message next finds them free.
    async fn take_back(&self, held: Vec<Held>) {
        // A shard is worked on without a lease.
        let leased = |message: &SliceMessage| message.shard.is_none();
        let others = read_all(self.sqs.all_held().iter());
        let jobs = JobStore::new(self.store.clone());
        for message in read_all(held.iter().map(|held| &held.body)).into_iter().filter(leased) {
            // Of two messages for one job, either may have come with the lease.
            if others.iter().any(|other| leased(other) && other.job == message.job) {
                continue;
            }
            if let Err(error) = release(&jobs, &message, self.clock.now()).await {
                // The job waits until the lease has run out.
                tracing::error!(job = %message.job, %error, "a dead worker's lease could not be released");
            }
        }
        for held in &held {
            if let Err(error) = self.sqs.give_back(held) {
                tracing::error!(%error, "a dead worker's message is hidden until its visibility timeout ends");
            }
        }
    }
}

/// Frees the lease that a dead worker held for this slice, if it did.
async fn release(jobs: &JobStore, message: &SliceMessage, now: u64) -> Result<(), JobStoreError> {
    let state = match jobs.load(&message.tenant, &message.job).await {
        Ok(stored) => stored.value,
        Err(JobStoreError::Missing) => return Ok(()),
        Err(error) => return Err(error),
    };
    // Once the slice was committed its lease is free, and the present one is another worker's.
    if state.next_slice == message.slice {
        resume(jobs, &message.tenant, &message.job, now).await?;
    }
    Ok(())
}

/// The messages among `bodies` that are some.
fn read_all<'a>(bodies: impl Iterator<Item = &'a String>) -> Vec<SliceMessage> {
    bodies.filter_map(|body| serde_json::from_str(body).ok()).collect()
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
