//! Settings of the local service.

use crate::error::LocalError;
use std::path::PathBuf;

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
    /// Threads that train one job.
    pub worker_threads: usize,
    /// How long a slice of a job runs before it is checkpointed, in seconds.
    pub slice_seconds: u64,
}

/// A slice must be long enough for one step and its checkpoint, and short enough that a killed worker's lease ends soon.
const SLICE_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;

impl ServeConfig {
    /// Checks what can be checked before anything is started, and fills in the S3 port.
    pub(crate) fn checked_s3_port(&self) -> Result<u16, LocalError> {
        if self.worker_threads == 0 {
            return Err(LocalError::Config("the number of worker threads must be at least 1"));
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
