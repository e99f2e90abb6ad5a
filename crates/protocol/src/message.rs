//! The queue message that asks a worker for a part of one job.

use crate::id::{JobId, TenantId};
use serde::{Deserialize, Serialize};

/// Asks for slice `slice` of a job, or for one shard of it. Messages may come twice, late or never be deleted: the job's state decides what one
/// means (see [`crate::transition`]), so a message carries no more than the job's name and the part it was sent for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceMessage {
    /// Owner of the job.
    pub tenant: TenantId,
    /// The job.
    pub job: JobId,
    /// Number of the slice, from 0.
    pub slice: u64,
    /// The shard of the slice's one step that is asked for, from 0; none asks for the whole slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
}

impl SliceMessage {
    /// Asks for a whole slice.
    pub fn whole(tenant: &TenantId, job: &JobId, slice: u64) -> Self {
        Self { tenant: tenant.clone(), job: job.clone(), slice, shard: None }
    }

    /// Asks for one shard of a slice.
    pub fn shard(tenant: &TenantId, job: &JobId, slice: u64, shard: u32) -> Self {
        Self { shard: Some(shard), ..Self::whole(tenant, job, slice) }
    }
}
