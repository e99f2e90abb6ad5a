//! Settings of the local service.

use crate::error::LocalError;
use jobs::Quotas;
use std::path::PathBuf;

/// What a tenant may have here, where whoever pays for the machine is the only one to use it: the disk and the cores are the bounds, and these only stop
/// what was never meant, such as a script that creates jobs for ever.
pub(crate) const QUOTAS: Quotas = Quotas { jobs: 10_000, functions: 100_000, bytes: 1 << 40 };

/// How the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Port of the API and the page, on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// Port of the embedded S3; by default the next one (any free one for port 0).
    pub s3_port: Option<u16>,
    /// Where objects, the queue and secrets are kept. One service at a time uses it.
    pub data_dir: PathBuf,
    /// A folder of model folders to publish at start.
    pub models_dir: Option<PathBuf>,
    /// The built page; without it the service has an API alone.
    pub site_dir: Option<PathBuf>,
    /// Threads that train, shared by all workers.
    pub worker_threads: usize,
    /// Worker processes; none for one worker in the service's own process.
    pub processes: Option<WorkerProcesses>,
    /// How long a slice of a job runs before it is checkpointed, in seconds.
    pub slice_seconds: u64,
}

/// Workers in processes of their own, each working on one job at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProcesses {
    /// How many.
    pub count: usize,
    /// The command line of this project, which is called with the one argument `worker`.
    pub program: PathBuf,
}

/// More processes than this are a mistake: each holds a model of its own in memory.
const PROCESSES: std::ops::RangeInclusive<usize> = 1..=256;

/// A slice must be long enough for one step and its checkpoint, and short enough that a killed worker's lease ends soon.
const SLICE_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;

impl ServeConfig {
    /// Threads of one worker: its share, and at least one.
    pub(crate) fn threads_of_one(&self) -> usize {
        let workers = self.processes.as_ref().map_or(1, |processes| processes.count);
        (self.worker_threads / workers.max(1)).max(1)
    }

    /// Checks what can be checked before anything is started, and fills in the S3 port.
    pub(crate) fn checked_s3_port(&self) -> Result<u16, LocalError> {
        if self.worker_threads == 0 {
            return Err(LocalError::Config("the number of worker threads must be at least 1"));
        }
        if self.processes.as_ref().is_some_and(|processes| !PROCESSES.contains(&processes.count)) {
            return Err(LocalError::Config("the number of worker processes must be 1 to 256"));
        }
        if !SLICE_SECONDS.contains(&self.slice_seconds) {
            return Err(LocalError::Config("the length of a slice must be 1 to 3600 seconds"));
        }
        if let Some(site) = self.site_dir.as_ref().filter(|site| !site.join("index.html").exists()) {
            return Err(LocalError::Site { path: site.clone() });
        }
        let next = if self.port == 0 { Some(0) } else { self.port.checked_add(1) };
        let s3_port = self
            .s3_port
            .or(next)
            .ok_or(LocalError::Config("port 65535 leaves none for S3; give an S3 port"))?;
        if s3_port == self.port && s3_port != 0 {
            return Err(LocalError::Config("the page and S3 need different ports"));
        }
        Ok(s3_port)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
