//! What is left of a job whose owner deleted it.

use crate::id::JobId;
use crate::state::{JobState, Status};
use dp::Event;
use serde::{Deserialize, Serialize};

/// Says what was deleted and when. It lies where the job's state lay, so that no late worker, repeated request or message brings the job back, and
/// holds nothing of what the job was about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletionReceipt {
    /// The job.
    pub id: JobId,
    /// `fine_tuning.job.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
    /// Unix seconds.
    pub deleted_at: u64,
    /// How the job had ended; one that still ran was cancelled first.
    pub status: Status,
    /// Objects that were deleted before this was written, with all their versions: checkpoints, shards, adapter files and their entries.
    pub objects_deleted: u64,
    /// What the job had released by then, which the ledger of its training file keeps.
    pub released: Vec<Event>,
    /// How often it was put back to work: with this, the ledger tells its charges apart.
    pub redrives: u32,
    /// What stays, in a sentence.
    pub kept: String,
}

impl DeletionReceipt {
    /// The receipt of a job that is over.
    pub fn of(job: &JobState, objects_deleted: u64, deleted_at: u64) -> Self {
        let kept = "The privacy ledger of the training file keeps what this job released: that cannot be taken back. The training \
                    file itself is deleted by its own request.";
        Self {
            id: job.id.clone(),
            object: "fine_tuning.job.deleted".into(),
            deleted: true,
            deleted_at,
            status: job.status,
            objects_deleted,
            released: job.released().unwrap_or_default(),
            redrives: job.redrives,
            kept: kept.into(),
        }
    }
}
