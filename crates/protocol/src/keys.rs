//! Where each object lies in the files bucket. Everything a tenant owns is under `tenants/{tenant}/`, but for
//! the ledgers, which outlive it: what was released stays released. The tenant comes
//! from the API key, never from the request, so that one tenant can never name another's object.
//!
//! ```text
//! keys/{sha256 of the API key}.json                      which tenant a key belongs to, and until when
//! models/{model}/…                                       a base model's folder and its neighbour table
//! ledgers/{tenant}/{sha256 of a file}.json               what all jobs on that content have released, under compare-and-swap; never deleted
//! usage/{tenant}.json                                    a tenant's open jobs, under compare-and-swap
//! quotas/{tenant}.json                                   what one tenant may have, where that is not what all may
//! service/signing-key, service/verifying-key             what certificates are signed with, and checked with
//! tenants/{tenant}/files/{file}/meta.json, content       a file
//! tenants/{tenant}/uploads/{upload}/meta.json, {part}    an upload in parts
//! tenants/{tenant}/jobs/{job}/state.json                 the job, under compare-and-swap
//! tenants/{tenant}/jobs/{job}/checkpoint-{epoch}-{step}  a slice's result
//! tenants/{tenant}/jobs/{job}/shard-{slice}-{k}         one shard's noised sum, until its step is made
//! tenants/{tenant}/jobs/{job}/adapter-{epoch}/{name}     what the owner downloads
//! ```

use crate::id::{FileId, JobId, ModelId, PartId, TenantId, UploadId};

/// Prefix of all of a tenant's files.
pub fn files_prefix(tenant: &TenantId) -> String {
    format!("tenants/{tenant}/files/")
}

/// Prefix of all of one file's objects.
pub fn file_folder(tenant: &TenantId, file: &FileId) -> String {
    format!("tenants/{tenant}/files/{file}/")
}

/// A file's metadata.
pub fn file_meta(tenant: &TenantId, file: &FileId) -> String {
    format!("tenants/{tenant}/files/{file}/meta.json")
}

/// A file's content.
pub fn file_content(tenant: &TenantId, file: &FileId) -> String {
    format!("tenants/{tenant}/files/{file}/content")
}

/// An upload's metadata.
pub fn upload_meta(tenant: &TenantId, upload: &UploadId) -> String {
    format!("tenants/{tenant}/uploads/{upload}/meta.json")
}

/// One part of an upload.
pub fn upload_part(tenant: &TenantId, upload: &UploadId, part: &PartId) -> String {
    format!("tenants/{tenant}/uploads/{upload}/{part}")
}

/// The account of a data set, named by the SHA-256 of its content in hexadecimal.
pub fn ledger(tenant: &TenantId, dataset: &str) -> String {
    format!("ledgers/{tenant}/{dataset}.json")
}

/// The tenant's open jobs. Outside of what the retention rule deletes.
pub fn usage(tenant: &TenantId) -> String {
    format!("{USAGE_PREFIX}{tenant}.json")
}

/// Prefix of all tenants' usage.
pub const USAGE_PREFIX: &str = "usage/";

/// The tenant's own quotas, which an operator writes.
pub fn quotas(tenant: &TenantId) -> String {
    format!("quotas/{tenant}.json")
}

/// The secret half of the service's key for certificates, 64 hexadecimal digits. Only the worker may read it.
pub const SIGNING_KEY: &str = "service/signing-key";

/// Its public half, 64 hexadecimal digits.
pub const VERIFYING_KEY: &str = "service/verifying-key";

/// Prefix of all of a tenant's jobs.
pub fn jobs_prefix(tenant: &TenantId) -> String {
    format!("tenants/{tenant}/jobs/")
}

/// Prefix of all of one job's objects.
pub fn job_folder(tenant: &TenantId, job: &JobId) -> String {
    format!("tenants/{tenant}/jobs/{job}/")
}

/// A job's state, or its receipt once it was deleted.
pub fn job_state(tenant: &TenantId, job: &JobId) -> String {
    format!("tenants/{tenant}/jobs/{job}/state.json")
}

/// The checkpoint that the lease `epoch` wrote at `step`. The epoch keeps a fenced worker from overwriting its successor's.
pub fn checkpoint(tenant: &TenantId, job: &JobId, epoch: u64, step: u64) -> String {
    format!("tenants/{tenant}/jobs/{job}/checkpoint-{epoch}-{step}.safetensors")
}

/// Prefix of all shards' sums of one slice.
pub fn shards_prefix(tenant: &TenantId, job: &JobId, slice: u64) -> String {
    format!("tenants/{tenant}/jobs/{job}/shard-{slice}-")
}

/// The noised sum of shard `shard` of a slice. No epoch is in it: whoever computes it comes to the same bytes, and the first to write it wins.
pub fn shard(tenant: &TenantId, job: &JobId, slice: u64, shard: u32) -> String {
    // Three digits, so that a listing is in the shards' order.
    format!("{}{shard:03}", shards_prefix(tenant, job, slice))
}

/// Written once all shards of a slice were asked for.
pub fn shards_asked(tenant: &TenantId, job: &JobId, slice: u64) -> String {
    format!("{}asked", shards_prefix(tenant, job, slice))
}

/// Prefix of the adapter folder that the lease `epoch` wrote.
pub fn adapter_folder(tenant: &TenantId, job: &JobId, epoch: u64) -> String {
    format!("tenants/{tenant}/jobs/{job}/adapter-{epoch}/")
}

/// One file of the adapter folder that the lease `epoch` wrote.
pub fn adapter_file(tenant: &TenantId, job: &JobId, epoch: u64, name: &str) -> String {
    format!("tenants/{tenant}/jobs/{job}/adapter-{epoch}/{name}")
}

/// Prefix of all base models.
pub const MODELS_PREFIX: &str = "models/";

/// One file of a base model's folder.
pub fn model_file(model: &ModelId, name: &str) -> String {
    format!("{MODELS_PREFIX}{model}/{name}")
}

/// Prefix of all API keys' entries.
pub const API_KEYS_PREFIX: &str = "keys/";

/// The entry of an API key, by the key's SHA-256 in hexadecimal.
pub fn api_key(sha256: &str) -> String {
    format!("{API_KEYS_PREFIX}{sha256}.json")
}

/// The object of a model's folder that lists its files with their hashes; written last, so that a model is there whole or not at all.
pub const MODEL_INDEX: &str = "index.json";

/// The object of a model's folder that holds its neighbour table.
pub const MODEL_NEIGHBOURS: &str = "neighbours.bin";
