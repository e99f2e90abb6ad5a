//! What can be said of a training file before a worker reads it: that it is there, that it is text or perturbed tokens for this model.
//!
//! A file that cannot work is refused when its job is created, not minutes later in a worker.

use crate::ApiState;
use crate::error::{Answer, Failure, sentence};
use crate::file_store::FileStore;
use crate::models::TOKENIZER;
use dp::PrivacyUnit;
use perturb::ChannelUnit;
use perturb::text::{InputError, decode, records};
use protocol::api::{FileMeta, ModelIndex, PURPOSE_FINE_TUNE};
use protocol::error::ApiError;
use protocol::hyperparameters::DpLora;
use protocol::id::{FileId, TenantId};

/// How a file of perturbed tokens begins.
const TOKENS_MAGIC: &[u8] = b"DPTK";

/// The request's field that names the file.
const PARAM: Option<&str> = Some("training_file");

/// What a job's plan needs to know of its file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrainingFile {
    pub(crate) id: FileId,
    /// Of the content, hexadecimal.
    pub(crate) sha256: String,
    /// Privacy units in it.
    pub(crate) records: usize,
    /// What one of them is: a file of perturbed tokens says its own.
    pub(crate) unit: PrivacyUnit,
}

/// The file named `text`, if a job on `model` with these settings can train on it.
///
/// # Errors
/// 404 when there is no such file, 409 while its content is on the way, 400 when it cannot be trained on.
pub(crate) async fn check(
    state: &ApiState,
    tenant: &TenantId,
    text: &str,
    model: &ModelIndex,
    settings: &DpLora,
) -> Answer<TrainingFile> {
    let files = FileStore { state, tenant };
    let meta = files.load(text).await?;
    check_meta(&files, &meta).await?;
    let content = state.store.get(&meta.content_key).await?.bytes;
    let result = if content.starts_with(TOKENS_MAGIC) {
        check_tokens(&content, model)
    } else {
        check_text(&content, settings).map_err(|error| error.to_string())
    };
    match result {
        Ok((records, unit)) => Ok(TrainingFile { id: meta.id, sha256: meta.sha256, records, unit }),
        Err(reason) => Err(Failure::invalid("invalid_training_file", PARAM, sentence(&reason))),
    }
}

async fn check_meta(files: &FileStore<'_>, meta: &FileMeta) -> Answer<()> {
    if meta.purpose != PURPOSE_FINE_TUNE {
        let message = format!(
            "The file's purpose is `{}`; a job trains on `{PURPOSE_FINE_TUNE}` files only.",
            meta.purpose
        );
        return Err(Failure::invalid("invalid_purpose", PARAM, message));
    }
    if !files.has_arrived(meta).await? {
        let message = "The file's content has not arrived yet. Upload it by the link, then create the job.";
        return Err(ApiError::conflict("file_pending", message).into());
    }
    Ok(())
}

fn check_tokens(content: &[u8], model: &ModelIndex) -> Result<(usize, PrivacyUnit), String> {
    let (manifest, records) = perturb::tokens::read(content).map_err(|error| error.to_string())?;
    let tokenizer = model.files.get(TOKENIZER).map(|entry| entry.sha256.as_str());
    let perturbed = hex::encode(manifest.tokenizer_sha256.as_bytes());
    // Perturbed words are text, which any model's tokenizer takes.
    if manifest.channel_unit == ChannelUnit::Token && tokenizer != Some(perturbed.as_str()) {
        return Err(format!(
            "the file's tokens are of another tokenizer than that of `{}`: perturb the text for this model",
            model.id
        ));
    }
    if records.is_empty() {
        return Err("the file holds no records: perturb a text that is not empty".into());
    }
    Ok((records.len(), manifest.record_unit))
}

fn check_text(content: &[u8], settings: &DpLora) -> Result<(usize, PrivacyUnit), InputError> {
    let (text, unit) = (decode(content)?, settings.privacy_unit);
    let count = records(text, unit).try_fold(0, |count, record| record.map(|_| count + 1))?;
    Ok((count, unit))
}

#[cfg(test)]
#[path = "training_file_tests.rs"]
mod tests;
