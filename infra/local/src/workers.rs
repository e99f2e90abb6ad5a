//! The workers of a service: one in its own process, or several in processes of their own.

use crate::config::{ServeConfig, WorkerProcesses};
use crate::data_dir::Credentials;
use crate::drain::DrainingClock;
use crate::error::LocalError;
use crate::processes::{Pids, Processes};
use crate::service::{listen, serve, url};
use crate::sqs::{self, EmbeddedSqs};
use crate::worker;
use crate::worker_process::Assignment;
use jobs::{LocalDeadLetters, LocalQueue, Store};
use protocol::signature::CertificateKey;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whatever runs slices.
pub(crate) struct Workers {
    pub(crate) task: JoinHandle<()>,
    /// Where worker processes get messages.
    pub(crate) sqs: Option<JoinHandle<()>>,
    pub(crate) pids: Pids,
}

/// What workers are made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a ServeConfig,
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) queue: &'a Arc<LocalQueue>,
    pub(crate) clock: &'a Arc<DrainingClock>,
}

impl Parts<'_> {
    /// One worker in this process.
    pub(crate) fn worker_here(&self, signing_key: CertificateKey, stop: watch::Receiver<bool>) -> Workers {
        let share = worker::Share {
            threads: self.config.threads_of_one(),
            slice_seconds: self.config.slice_seconds,
            scratch: self.config.data_dir.clone(),
        };
        let (queue, clock) = (self.queue.clone(), self.clock.clone());
        let trainer = worker::worker(share, self.store.clone(), queue.clone(), clock, signing_key);
        let dead_letters = Arc::new(LocalDeadLetters::of(queue.clone()));
        let sources = worker::Sources { jobs: queue, dead_letters };
        let slice = Duration::from_secs(self.config.slice_seconds);
        let task = tokio::spawn(worker::work(trainer, sources, slice, stop));
        Workers { task, sqs: None, pids: Pids::default() }
    }

    /// Workers in processes of their own, and the queue that they reach.
    pub(crate) async fn worker_processes(
        &self,
        processes: &WorkerProcesses,
        s3: (&str, Credentials),
        stop: &watch::Receiver<bool>,
        serving: watch::Receiver<bool>,
    ) -> Result<Workers, LocalError> {
        let listener = listen(0).await?;
        let assignment = Assignment {
            s3_url: s3.0.to_owned(),
            credentials: s3.1,
            sqs_url: url(&listener)?,
            capability: String::new(),
            threads: self.config.threads_of_one(),
            slice_seconds: self.config.slice_seconds,
            scratch: self.config.data_dir.clone(),
        };
        // Said now rather than at every start of a process.
        assignment.to_line()?;
        let sqs = Arc::new(EmbeddedSqs::new(self.queue.clone()));
        let server = serve(listener, sqs::router(sqs.clone()), serving);
        let pids = Pids::default();
        let crew = Processes {
            program: processes.program.clone(),
            assignment,
            sqs,
            store: self.store.clone(),
            clock: self.clock.clone(),
            pids: pids.clone(),
        };
        Ok(Workers { task: crew.keep(processes.count, stop), sqs: Some(server), pids })
    }
}
