//! A worker in a process of its own.
//!
//! It is told on its standard input, in one line, where queue and storage are and by which secrets it may use them; so these stand neither in its
//! arguments nor in its environment. The input stays open as long as the service wants it to work: once it is closed, by the service or by the
//! service's death, the running slice is cut short ([`crate::drain`]) and committed if that is still possible, and the process ends.

use crate::data_dir::Credentials;
use crate::drain::DrainingClock;
use crate::error::LocalError;
use crate::worker::{self, Share, Sources};
use crate::{s3, sqs};
use finetune_function::{Worker, signing};
use jobs::{Clock, Store};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::watch;

/// How long a worker may take to end its slice: far more than a step and its checkpoint.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// More than a line of this length is no assignment.
const MAX_LINE: u64 = 64 * 1024;

/// What a worker process is told. It has no `Debug`, for it is made of secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// The embedded S3, and what it is used with.
    pub(crate) s3_url: String,
    pub(crate) credentials: Credentials,
    /// The embedded SQS, and the capability for it.
    pub(crate) sqs_url: String,
    pub(crate) capability: String,
    /// See [`Share`].
    pub(crate) threads: usize,
    pub(crate) slice_seconds: u64,
    pub(crate) scratch: PathBuf,
}

impl Assignment {
    /// As it is sent: one line.
    ///
    /// # Errors
    /// [`LocalError::Config`] when the scratch folder's name is no Unicode.
    pub(crate) fn to_line(&self) -> Result<String, LocalError> {
        let line = serde_json::to_string(self);
        let line =
            line.map_err(|_| LocalError::Config("worker processes need a data folder with a Unicode name"));
        Ok(line? + "\n")
    }
}

/// Works as the service at the other end of `input` says, until that end is closed.
///
/// # Errors
/// [`LocalError::Worker`] when `input` does not begin with an assignment; when storage cannot be reached.
pub async fn work_in_process(input: impl AsyncRead + Send + Unpin + 'static) -> Result<(), LocalError> {
    let mut input = BufReader::new(input);
    let assignment = read_assignment(&mut input).await?;
    let slice = Duration::from_secs(assignment.slice_seconds);
    let clock = Arc::new(DrainingClock::new(slice));
    let (stop, stopped) = watch::channel(false);
    let (worker, sources) = prepare(assignment, clock.clone()).await?;
    let working = worker::work(worker, sources, slice, stopped);
    let ending = async {
        closed(&mut input).await;
        clock.drain();
        // Somebody listens: the work below.
        let _ = stop.send(true);
        clock.sleep(PATIENCE).await;
    };
    tokio::select! {
        () = working => Ok(()),
        () = ending => Err(LocalError::Worker("its slice did not end in time")),
    }
}

async fn read_assignment(input: &mut (impl AsyncBufReadExt + Unpin)) -> Result<Assignment, LocalError> {
    let mut line = String::new();
    let wrong =
        LocalError::Worker("its standard input does not begin with an assignment; `serve` starts workers");
    match input.take(MAX_LINE).read_line(&mut line).await {
        Ok(_) => serde_json::from_str(&line).map_err(|_| wrong),
        Err(_) => Err(wrong),
    }
}

async fn prepare(assignment: Assignment, clock: Arc<DrainingClock>) -> Result<(Worker, Sources), LocalError> {
    let Assignment { s3_url, credentials, sqs_url, capability, threads, slice_seconds, scratch } = assignment;
    let store: Arc<dyn Store> = Arc::new(s3::store(&s3_url, &credentials));
    let (queue, dead_letters) = sqs::queues(&sqs_url, &capability);
    let signing_key = signing::load_or_create(&*store, api_function::draw(&api_function::OsEntropy)).await?;
    let share = Share { threads, slice_seconds, scratch };
    let worker = worker::worker(share, store, Arc::new(queue.clone()), clock, signing_key);
    Ok((worker, Sources { jobs: Arc::new(queue), dead_letters: Arc::new(dead_letters) }))
}

/// Returns when nobody holds the other end any more.
async fn closed(input: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 256];
    // Nothing more is ever said; a failing input is a closed one.
    while input.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

#[cfg(test)]
#[path = "worker_process_tests.rs"]
mod tests;
