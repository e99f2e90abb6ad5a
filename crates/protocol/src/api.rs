//! What travels over HTTP, shaped as OpenAI's files, uploads and fine-tuning API, so that its official clients work unchanged.
//!
//! Ours on top: `POST /v1/files` with JSON answers with a presigned PUT ([`CreateFile`], [`FileTicket`]); a retrieved file carries a presigned
//! `download_url`; a job carries `progress`; `GET /v1/models/{model}` carries what the page needs to perturb ([`ModelObject`]).

use crate::error::ErrorObject;
use crate::hyperparameters::DpLoraRequest;
use crate::id::{FileId, Filename, JobId, ModelId, PartId, UploadId};
use crate::state::{Event, JobState, LossPoint, Progress, Status};
use dp::{Charge, Delta, Epsilon, Ledger};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most bytes a file may have: 20 MiB.
pub const MAX_FILE_BYTES: u64 = 20 * 1024 * 1024;

/// The most bytes of a request's body: Lambda takes 6 MiB of payload, of which base64 and headers use more than a quarter.
/// Larger files go by presigned PUT or in parts.
pub const MAX_BODY_BYTES: u64 = 4 * 1024 * 1024;

/// How long a presigned link works, in seconds: enough for 20 MiB over a slow line (about 180 kbit/s).
pub const PRESIGN_SECONDS: u64 = 900;

/// The `purpose` of files to train on.
pub const PURPOSE_FINE_TUNE: &str = "fine-tune";
/// The `purpose` of files that a job made.
pub const PURPOSE_RESULTS: &str = "fine-tune-results";

/// A list of objects, one page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct List<T> {
    /// Always `list`.
    pub object: String,
    /// The page.
    pub data: Vec<T>,
    /// First object's id, for paging.
    #[serde(default)]
    pub first_id: Option<String>,
    /// Last object's id, to be sent as `after`.
    #[serde(default)]
    pub last_id: Option<String>,
    /// True when more follow.
    pub has_more: bool,
}

/// A file, as OpenAI shapes it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct FileObject {
    /// Name.
    pub id: FileId,
    /// Always `file`.
    pub object: String,
    /// Size.
    pub bytes: u64,
    /// Unix seconds.
    pub created_at: u64,
    /// The owner's name of it.
    pub filename: Filename,
    /// `fine-tune` or `fine-tune-results`.
    pub purpose: String,
    /// `pending` until its content has arrived, then `processed`.
    pub status: String,
    /// A presigned GET, when one file is retrieved and its content is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
}

/// What is stored beside a file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMeta {
    /// Name.
    pub id: FileId,
    /// The owner's name of it.
    pub filename: Filename,
    /// Size that was declared and is enforced.
    pub bytes: u64,
    /// SHA-256 of the content in hexadecimal, declared and enforced.
    pub sha256: String,
    /// `fine-tune` or `fine-tune-results`.
    pub purpose: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Object key of the content.
    pub content_key: String,
}

/// `POST /v1/files` with JSON: asks for a presigned PUT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFile {
    /// Name to show.
    pub filename: String,
    /// Size, at most [`MAX_FILE_BYTES`].
    pub bytes: u64,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
    /// `fine-tune`.
    pub purpose: String,
}

/// Answer to [`CreateFile`]: the file and how to send its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileTicket {
    /// The file, still `pending`.
    #[serde(flatten)]
    pub file: FileObject,
    /// Where and how to send the content.
    pub upload: PresignedPut,
}

/// A presigned PUT: send exactly these headers with exactly the declared bytes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PresignedPut {
    /// Always `PUT`.
    pub method: String,
    /// The link; whoever has it can upload this one content, once.
    pub url: String,
    /// Headers that are signed and must be sent. `content-length` and `host` are set by the client itself.
    pub headers: BTreeMap<String, String>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// `DELETE /v1/files/{file}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    /// Name.
    pub id: FileId,
    /// Always `file`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

/// `POST /v1/uploads`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateUpload {
    /// Name to show.
    pub filename: String,
    /// Size of all parts together.
    pub bytes: u64,
    /// Media type; kept for the client only.
    pub mime_type: String,
    /// `fine-tune`.
    pub purpose: String,
}

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadObject {
    /// Name.
    pub id: UploadId,
    /// Always `upload`.
    pub object: String,
    /// Size of all parts together.
    pub bytes: u64,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds; parts are refused later.
    pub expires_at: u64,
    /// Name to show.
    pub filename: Filename,
    /// `fine-tune`.
    pub purpose: String,
    /// `pending`, `completed` or `cancelled`.
    pub status: String,
    /// The file, once completed.
    pub file: Option<FileObject>,
}

/// One part of an upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartObject {
    /// Name.
    pub id: PartId,
    /// Always `upload.part`.
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// The upload.
    pub upload_id: UploadId,
}

/// `POST /v1/uploads/{upload}/complete`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompleteUpload {
    /// Parts in order.
    pub part_ids: Vec<PartId>,
}

/// `POST /v1/fine_tuning/jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateJob {
    /// Base model.
    pub model: String,
    /// File to train on.
    pub training_file: String,
    /// How to train; default `dp_lora` with its defaults.
    #[serde(default)]
    pub method: Option<Method>,
    /// Part of the fine-tuned model's name.
    #[serde(default)]
    pub suffix: Option<String>,
    /// At most 16 pairs.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// `dp_lora`.
    pub r#type: String,
    /// Its settings.
    #[serde(default)]
    pub dp_lora: DpLoraRequest,
}

/// A fine-tuning job, as OpenAI shapes it, with `progress` on top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobObject {
    /// Name.
    pub id: JobId,
    /// Always `fine_tuning.job`.
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub finished_at: Option<u64>,
    /// Base model.
    pub model: ModelId,
    /// Name of the result, once succeeded.
    pub fine_tuned_model: Option<String>,
    /// The tenant.
    pub organization_id: String,
    /// Where it stands.
    pub status: Status,
    /// OpenAI's own hyperparameters, as far as they apply.
    pub hyperparameters: serde_json::Value,
    /// How it trains.
    pub method: Method,
    /// File it trains on.
    pub training_file: FileId,
    /// Always none: a private job evaluates nothing that is not accounted for.
    pub validation_file: Option<FileId>,
    /// The adapter's files, once succeeded.
    pub result_files: Vec<FileId>,
    /// Tokens trained on so far, as expected from the sampling rate: the realised number would leak the batches.
    pub trained_tokens: Option<u64>,
    /// Why it failed.
    pub error: Option<ErrorObject>,
    /// Always 0: the real seed is a secret, for whoever knows it can subtract the noise.
    pub seed: u64,
    /// Unix seconds.
    pub estimated_finish: Option<u64>,
    /// The owner's notes.
    pub metadata: BTreeMap<String, String>,
    /// How far it is.
    pub progress: Progress,
    /// Released losses, oldest first, each noisy and paid for; none when the job releases none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_curve: Option<Vec<LossPoint>>,
}

impl JobObject {
    /// What the owner may see of `state` at `now` (Unix seconds).
    pub fn from_state(state: &JobState, now: u64) -> Self {
        let settings = &state.spec.dp_lora;
        let succeeded = state.status == Status::Succeeded;
        let progress = state.live.as_ref().unwrap_or(&state.progress);
        let left = progress.seconds_left().filter(|_| !state.status.is_final());
        Self {
            id: state.id.clone(),
            object: "fine_tuning.job".into(),
            created_at: state.created_at,
            finished_at: state.finished_at,
            model: state.spec.model.clone(),
            fine_tuned_model: succeeded.then(|| state.fine_tuned_model()),
            organization_id: state.tenant.to_string(),
            status: state.status,
            hyperparameters: serde_json::json!({
                "n_epochs": "auto", "batch_size": settings.batch_size, "learning_rate_multiplier": "auto",
            }),
            method: Method { r#type: "dp_lora".into(), dp_lora: settings.clone().into() },
            training_file: state.spec.training_file.clone(),
            validation_file: None,
            result_files: state.result_files.clone(),
            trained_tokens: succeeded.then(|| expected_tokens(state)),
            error: state.error.clone(),
            seed: 0,
            // A whole number of seconds is all a person can use.
            estimated_finish: left.map(|seconds| now.saturating_add(seconds.ceil() as u64)),
            metadata: state.spec.metadata.clone(),
            progress: progress.clone(),
            loss_curve: settings.loss_curve.then(|| state.losses.clone()),
        }
    }
}

fn expected_tokens(state: &JobState) -> u64 {
    let passes = state.progress.step as f64 * f64::from(state.spec.dp_lora.batch_size)
        / (state.progress.records.max(1) as f64);
    (passes * state.progress.tokens as f64) as u64
}

/// `GET /v1/files/{file}/privacy`: the account of a training file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetObject {
    /// Always `dataset.privacy`.
    pub object: String,
    /// The file that was asked for.
    pub file: FileId,
    /// SHA-256 of its content: files of one content have one account.
    pub sha256: String,
    /// ε that all jobs together may spend.
    pub budget_epsilon: Epsilon,
    /// The δ of the account; none before the first job.
    pub delta: Option<Delta>,
    /// ε that is charged, an upper bound on what was released.
    pub epsilon_spent: f64,
    /// What each job is charged for, oldest first.
    pub charges: Vec<Charge>,
}

impl DatasetObject {
    /// What `ledger` says; without one nothing was ever charged.
    pub fn new(file: FileId, sha256: String, ledger: Option<&Ledger>, budget_epsilon: Epsilon) -> Self {
        Self {
            object: "dataset.privacy".into(),
            file,
            sha256,
            budget_epsilon: ledger.map_or(budget_epsilon, |ledger| ledger.budget().epsilon),
            delta: ledger.map(|ledger| ledger.budget().delta),
            epsilon_spent: ledger.map_or(0.0, Ledger::spent),
            charges: ledger.map(|ledger| ledger.charges().to_vec()).unwrap_or_default(),
        }
    }
}

/// `GET /v1/privacy/key`: what certificates are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyObject {
    /// Always `privacy.key`.
    pub object: String,
    /// Always `Ed25519`.
    pub algorithm: String,
    /// 64 hexadecimal digits.
    pub public_key: String,
}

impl KeyObject {
    /// An Ed25519 key.
    pub fn new(public_key: String) -> Self {
        Self { object: "privacy.key".into(), algorithm: crate::signature::ALGORITHM.into(), public_key }
    }
}

/// An event, as OpenAI shapes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventObject {
    /// Name; rises with the story.
    pub id: String,
    /// Always `fine_tuning.job.event`.
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// One plain sentence.
    pub message: String,
    /// `message`, or `metrics` when `data` holds progress.
    pub r#type: String,
    /// Progress at that time.
    pub data: Option<Progress>,
}

impl EventObject {
    /// The event as its owner sees it.
    pub fn from_event(job: &JobId, event: &Event) -> Self {
        let level = match event.level {
            crate::state::Level::Info => "info",
            crate::state::Level::Warn => "warn",
            crate::state::Level::Error => "error",
        };
        Self {
            id: format!("ftevent-{}-{:06}", job.as_str().trim_start_matches("ftjob-"), event.sequence),
            object: "fine_tuning.job.event".into(),
            created_at: event.at,
            level: level.into(),
            message: event.message.clone(),
            r#type: if event.progress.is_some() { "metrics" } else { "message" }.into(),
            data: event.progress.clone(),
        }
    }
}

/// A checkpoint of a succeeded job, as OpenAI shapes it: we release one, the final adapter, since every release costs privacy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointObject {
    /// Name.
    pub id: String,
    /// Always `fine_tuning.job.checkpoint`.
    pub object: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Name of the fine-tuned model.
    pub fine_tuned_model_checkpoint: String,
    /// The job.
    pub fine_tuning_job_id: JobId,
    /// Empty: no loss is released.
    pub metrics: serde_json::Value,
    /// Steps.
    pub step_number: u64,
}

/// A base model, as OpenAI shapes it, with what perturbation needs when one model is retrieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelObject {
    /// Name.
    pub id: ModelId,
    /// Always `model`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// Always `dpft`.
    pub owned_by: String,
    /// One plain sentence about it.
    #[serde(default)]
    pub description: String,
    /// Files that perturbation needs, by name, when one model is retrieved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, ModelFileLink>,
}

/// Where to get one of a model's files.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFileLink {
    /// Presigned GET.
    pub url: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal; the page checks it.
    pub sha256: String,
}

/// `models/{model}/index.json`: what a model's folder holds. Written last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIndex {
    /// Name.
    pub id: ModelId,
    /// Unix seconds.
    pub created: u64,
    /// One plain sentence about it.
    pub description: String,
    /// Every file but this one, by name.
    pub files: BTreeMap<String, ModelFileEntry>,
}

/// One file of a model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFileEntry {
    /// Size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// What is stored about an API key, under the key's own hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    /// Whose key it is.
    pub tenant: crate::id::TenantId,
    /// Unix seconds.
    pub created_at: u64,
    /// From this moment on (Unix seconds) the key is refused; without it, it never ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// When the key was revoked, in Unix seconds. Being there is what counts: a clock that is ahead must not keep the key alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

impl ApiKeyEntry {
    /// A key that never ends by itself; `created_at` in Unix seconds.
    pub fn new(tenant: crate::id::TenantId, created_at: u64) -> Self {
        Self { tenant, created_at, expires_at: None, revoked_at: None }
    }

    /// True when the key opens the API at `now` (Unix seconds).
    pub fn is_valid(&self, now: u64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
