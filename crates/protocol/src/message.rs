//! The queue message that asks the worker for one slice of one job.

use crate::id::{JobId, TenantId};
use serde::{Deserialize, Serialize};

/// Asks for slice `slice` of a job. Messages may come twice, late or never be deleted: the job's state decides what one means (see
/// [`crate::transition`]), so a message carries no more than the job's name and the slice it was sent for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceMessage {
    /// Owner of the job.
    pub tenant: TenantId,
    /// The job.
    pub job: JobId,
    /// Number of the slice, from 0.
    pub slice: u64,
}
