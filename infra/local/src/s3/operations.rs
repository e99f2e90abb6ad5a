//! The S3 operations this service needs, over one [`Directory`]. Signatures, expiry and XML are `s3s`' part; everything else answers
//! `NotImplemented`.

use super::directory::{Condition, Directory, Entry, WriteError};
use super::staging::{internal, stage};
use api_function::{Entropy, draw};
use async_trait::async_trait;
use jobs::Clock;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// The most keys of one listing, as on AWS.
const MAX_LIST_KEYS: i32 = 1000;

/// One bucket.
pub(super) struct Operations {
    pub(super) bucket: String,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Operations {
    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.bucket { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn entry(&self, bucket: &str, key: &str) -> S3Result<Entry> {
        self.check_bucket(bucket)?;
        self.directory.entry(key).ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait]
impl S3 for Operations {
    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.check_bucket(&req.input.bucket)?;
        let condition = condition(&req.input)?;
        let blob = hex::encode(draw::<16>(&*self.entropy));
        let entry = stage(&self.directory, blob, req.input, req.trailing_headers, self.clock.now()).await?;
        let output = PutObjectOutput {
            e_tag: Some(ETag::Strong(entry.etag.clone())),
            checksum_sha256: Some(entry.sha256.clone()),
            ..PutObjectOutput::default()
        };
        let directory = self.directory.clone();
        let commit = tokio::task::spawn_blocking(move || directory.commit(entry, &condition));
        commit.await.map_err(internal)?.map_err(|error| match error {
            WriteError::Condition => s3_error!(PreconditionFailed),
            WriteError::Absent => s3_error!(NoSuchKey),
            WriteError::Io(error) => internal(error),
        })?;
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        let (entry, file) =
            self.directory.read(&input.key).map_err(internal)?.ok_or_else(|| s3_error!(NoSuchKey))?;
        check_read_conditions(&entry, &input.if_match, &input.if_none_match)?;
        let range = requested_range(&entry, input.range)?;
        let length = range.end - range.start;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(internal)?;
        let partial = length != entry.bytes;
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(ReaderStream::new(file.take(length)))),
            content_length: Some(signed(length)),
            content_range: partial
                .then(|| format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), entry.bytes)),
            content_type: input.response_content_type.or(entry.content_type),
            content_disposition: input.response_content_disposition,
            e_tag: Some(ETag::Strong(entry.etag)),
            last_modified: Some(timestamp(entry.modified)),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let entry = self.entry(&req.input.bucket, &req.input.key)?;
        check_read_conditions(&entry, &req.input.if_match, &req.input.if_none_match)?;
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            checksum_sha256: req.input.checksum_mode.map(|_| entry.sha256),
            content_length: Some(signed(entry.bytes)),
            content_type: entry.content_type,
            e_tag: Some(ETag::Strong(entry.etag)),
            last_modified: Some(timestamp(entry.modified)),
            ..HeadObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.check_bucket(&req.input.bucket)?;
        let directory = self.directory.clone();
        let removal = tokio::task::spawn_blocking(move || directory.remove(&req.input.key));
        removal.await.map_err(internal)?.map_err(internal)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
            return Err(s3_error!(NotImplemented, "this store lists without delimiters only"));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = after(&input)?;
        let limit = input.max_keys.unwrap_or(MAX_LIST_KEYS).clamp(0, MAX_LIST_KEYS);
        let (page, more) = self.directory.list(&prefix, &after, usize::try_from(limit).unwrap_or(0));
        let next = page.last().filter(|_| more).map(|entry| hex::encode(&entry.key));
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(prefix),
            max_keys: Some(limit),
            key_count: i32::try_from(page.len()).ok(),
            is_truncated: Some(next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: next,
            start_after: input.start_after,
            contents: Some(page.into_iter().map(listed).collect()),
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }
}

fn condition(input: &PutObjectInput) -> S3Result<Condition> {
    match (&input.if_none_match, &input.if_match) {
        (None, None) => Ok(Condition::Always),
        (Some(ETagCondition::Any), None) => Ok(Condition::IfAbsent),
        (None, Some(ETagCondition::ETag(etag))) => Ok(Condition::IfMatch(etag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented, "a PUT takes `If-None-Match: *` or `If-Match: <etag>`")),
    }
}

fn check_read_conditions(
    entry: &Entry,
    if_match: &Option<ETagCondition>,
    if_none_match: &Option<ETagCondition>,
) -> S3Result<()> {
    let matches = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == entry.etag,
    };
    if if_match.as_ref().is_some_and(|condition| !matches(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.as_ref().is_some_and(matches) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

fn requested_range(entry: &Entry, range: Option<s3s::dto::Range>) -> S3Result<Range<u64>> {
    match range {
        None => Ok(0..entry.bytes),
        Some(range) => range.check(entry.bytes).map_err(|_| s3_error!(InvalidRange)),
    }
}

/// The key that a page starts behind: the later of the token's and the one asked for. A token is the last key in hexadecimal.
fn after(input: &ListObjectsV2Input) -> S3Result<String> {
    let token = match &input.continuation_token {
        None => String::new(),
        Some(token) => hex::decode(token)
            .ok()
            .and_then(|key| String::from_utf8(key).ok())
            .ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of ours"))?,
    };
    Ok(token.max(input.start_after.clone().unwrap_or_default()))
}

fn listed(entry: Entry) -> Object {
    Object {
        key: Some(entry.key),
        size: Some(signed(entry.bytes)),
        e_tag: Some(ETag::Strong(entry.etag)),
        last_modified: Some(timestamp(entry.modified)),
        ..Object::default()
    }
}

fn timestamp(seconds: u64) -> Timestamp {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
    time.into()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
