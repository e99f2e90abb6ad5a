//! A tenant's files in the object store: metadata beside content, and what both say together.

use crate::ApiState;
use crate::error::{Answer, Failure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jobs::{PutCondition, Store, StoreError};
use protocol::api::{FileMeta, FileObject, MAX_FILE_BYTES, PRESIGN_SECONDS, PURPOSE_FINE_TUNE};
use protocol::error::ApiError;
use protocol::id::{FileId, Filename, TenantId};
use protocol::keys;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Objects read at a time for a list: hides the store's latency without a burst that S3 would slow down.
pub(crate) const READS_AT_A_TIME: usize = 16;

/// How long a presigned link works.
pub(crate) const LINK_VALID: Duration = Duration::from_secs(PRESIGN_SECONDS);

/// All keys that begin with `prefix`.
pub(crate) async fn all_keys(store: &dyn Store, prefix: &str) -> Answer<Vec<String>> {
    let mut keys = Vec::new();
    loop {
        let page = store.list(prefix, keys.last().map(String::as_str), 1000).await?;
        keys.extend(page.keys);
        if !page.more {
            return Ok(keys);
        }
    }
}

/// The object under `key`, or none.
pub(crate) async fn read_optional(store: &dyn Store, key: &str) -> Answer<Option<Bytes>> {
    match store.get(key).await {
        Ok(object) => Ok(Some(object.bytes)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One tenant's files.
pub(crate) struct FileStore<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) tenant: &'a TenantId,
}

impl FileStore<'_> {
    /// The file named `text`.
    ///
    /// # Errors
    /// 404, the same for a name of the wrong form, an unknown one and another tenant's.
    pub(crate) async fn load(&self, text: &str) -> Answer<FileMeta> {
        let missing = || Failure::not_found("file", text);
        let id = FileId::parse(text).map_err(|_| missing())?;
        let stored = read_optional(&*self.state.store, &keys::file_meta(self.tenant, &id)).await?;
        Ok(serde_json::from_slice(&stored.ok_or_else(missing)?)?)
    }

    /// All files, in no order.
    pub(crate) async fn all(&self) -> Answer<Vec<FileMeta>> {
        let store = &*self.state.store;
        let keys = all_keys(store, &keys::files_prefix(self.tenant)).await?;
        let metas = keys.into_iter().filter(|key| key.ends_with("/meta.json")).map(|key| async move {
            // A file deleted since the listing is left out.
            let stored = read_optional(store, &key).await?;
            Ok::<Option<FileMeta>, Failure>(stored.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
        });
        let found: Vec<_> =
            futures::stream::iter(metas).buffer_unordered(READS_AT_A_TIME).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether `more` bytes fit into the tenant's quota.
    pub(crate) async fn check_room(&self, more: u64) -> Answer<()> {
        let ApiState { usage, config, .. } = self.state;
        Ok(usage.check_room(self.tenant, more, config.quotas).await?)
    }

    /// True when the whole content is there.
    pub(crate) async fn has_arrived(&self, meta: &FileMeta) -> Answer<bool> {
        match self.state.store.head(&meta.content_key).await {
            Ok(found) => Ok(found.bytes == meta.bytes),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The file as its owner sees it.
    pub(crate) async fn object(&self, meta: FileMeta) -> Answer<FileObject> {
        let arrived = self.has_arrived(&meta).await?;
        Ok(file_object(meta, arrived))
    }

    /// Stores metadata of a new file whose content is to follow or is there.
    pub(crate) async fn put_meta(&self, meta: &FileMeta) -> Answer<()> {
        let body = Bytes::from(serde_json::to_vec(meta)?);
        self.state.store.put(&keys::file_meta(self.tenant, &meta.id), body, PutCondition::Always).await?;
        Ok(())
    }

    /// Stores a new file with its content. Content goes first: a file that is listed with metadata from here is whole. Doing so again with the
    /// same content is fine.
    ///
    /// # Errors
    /// 409 when the file has another content already.
    pub(crate) async fn put_file(&self, id: FileId, filename: Filename, content: Bytes) -> Answer<FileMeta> {
        let size = content.len() as u64;
        let meta = self.new_meta(id, filename, size, hex::encode(Sha256::digest(&content)));
        match self.state.store.put(&meta.content_key, content.clone(), PutCondition::IfAbsent).await {
            Ok(_) => {}
            Err(StoreError::PreconditionFailed) => self.check_same(&meta.content_key, &content).await?,
            Err(error) => return Err(error.into()),
        }
        self.put_meta(&meta).await?;
        Ok(meta)
    }

    async fn check_same(&self, key: &str, content: &Bytes) -> Answer<()> {
        if self.state.store.get(key).await?.bytes == content {
            return Ok(());
        }
        let message = "The file was written with another content before. Start again with a new one.";
        Err(ApiError::conflict("file_exists", message).into())
    }

    /// Metadata of a new file to train on.
    pub(crate) fn new_meta(&self, id: FileId, filename: Filename, bytes: u64, sha256: String) -> FileMeta {
        let content_key = keys::file_content(self.tenant, &id);
        let created_at = self.state.clock.now();
        FileMeta { id, filename, bytes, sha256, purpose: PURPOSE_FINE_TUNE.into(), created_at, content_key }
    }
}

/// `meta` in OpenAI's shape.
pub(crate) fn file_object(meta: FileMeta, arrived: bool) -> FileObject {
    FileObject {
        id: meta.id,
        object: "file".into(),
        bytes: meta.bytes,
        created_at: meta.created_at,
        filename: meta.filename,
        purpose: meta.purpose,
        status: if arrived { "processed" } else { "pending" }.into(),
        download_url: None,
    }
}

/// Checks a declared size.
pub(crate) fn check_size(bytes: u64) -> Answer<()> {
    if bytes == 0 {
        return Err(Failure::invalid(
            "empty_file",
            Some("bytes"),
            "The file is empty. Send at least one line of text.",
        ));
    }
    if bytes > MAX_FILE_BYTES {
        let mib = MAX_FILE_BYTES / (1024 * 1024);
        let message =
            format!("The file has {bytes} bytes; at most {mib} MiB are taken. Split it or leave some out.");
        return Err(ApiError::too_large(message).into());
    }
    Ok(())
}

/// Checks a declared purpose.
pub(crate) fn check_purpose(purpose: Option<&str>) -> Answer<()> {
    if purpose == Some(PURPOSE_FINE_TUNE) {
        return Ok(());
    }
    let message =
        format!("`purpose` must be `{PURPOSE_FINE_TUNE}`; this service takes files for nothing else.");
    Err(Failure::invalid("invalid_purpose", Some("purpose"), message))
}
