//! The store on Amazon S3, or whatever speaks its protocol.
//!
//! Conditional puts are never retried by the SDK: a hidden retry of a put that had landed would answer "precondition failed" although the
//! caller won, and [`JobStore`](crate::JobStore) could no longer tell its own write from somebody else's.

use super::{
    Listing, Object, ObjectMeta, PutCondition, PutTerms, Store, StoreError, attachment, checksum_base64,
};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use protocol::api::PresignedPut;
use std::time::{Duration, UNIX_EPOCH};

/// One bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: aws_sdk_s3::Client,
    bucket: String,
}

impl S3Store {
    /// Keeps its objects in `bucket`.
    pub fn new(client: aws_sdk_s3::Client, bucket: String) -> Self {
        Self { client, bucket }
    }
}

#[async_trait::async_trait]
impl Store for S3Store {
    async fn get(&self, key: &str) -> Result<Object, StoreError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let answer = request.send().await.map_err(|error| failure("read an object", key, error))?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let body = answer.body.collect().await;
        let bytes = body.map_err(|_| unavailable("read an object", "the answer broke off"))?.into_bytes();
        Ok(Object { bytes, etag })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let answer = request.send().await.map_err(|error| failure("look up an object", key, error))?;
        let bytes = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let bytes = bytes.ok_or_else(|| unavailable("look up an object", "no size in the answer"))?;
        Ok(ObjectMeta { bytes, etag: answer.e_tag().unwrap_or_default().to_owned() })
    }

    async fn step_back(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: PutCondition) -> Result<String, StoreError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(bytes));
        let answer = match condition {
            PutCondition::Always => request.send().await,
            PutCondition::IfAbsent => once(request.if_none_match("*")).await,
            PutCondition::IfMatch(etag) => once(request.if_match(etag)).await,
        };
        match answer {
            Ok(written) => Ok(written.e_tag().unwrap_or_default().to_owned()),
            // S3 answers 404 to a put under If-Match whose object is gone: that is a failed condition, too.
            Err(error) => Err(match failure("write an object", key, error) {
                StoreError::NotFound { .. } => StoreError::PreconditionFailed,
                other => other,
            }),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        match request.send().await.map_err(|error| failure("delete an object", key, error)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// S3 keeps older versions where an operator has turned versioning on; without it each object has one, called null.
    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<u64, StoreError> {
        let mut removed = 0;
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
            let request = request.set_key_marker(key_marker).set_version_id_marker(version_marker);
            let page = match request.send().await {
                Ok(page) => page,
                // A store that knows no versions.
                Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 501) => {
                    return self.purge_unversioned(prefix, keep).await;
                }
                Err(error) => return Err(failure("list an object's versions", prefix, error)),
            };
            let versions = page.versions().iter();
            let versions = versions.map(|it| (it.key(), it.version_id(), it.is_latest() == Some(true)));
            let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id(), false));
            for (key, version, latest) in versions.chain(markers) {
                let Some(key) = key.filter(|key| !(latest && Some(*key) == keep)) else { continue };
                let request = self.client.delete_object().bucket(&self.bucket).key(key);
                let deleted = request.set_version_id(version.map(str::to_owned)).send().await;
                match deleted.map_err(|error| failure("delete a version", key, error)) {
                    Ok(_) | Err(StoreError::NotFound { .. }) => removed += 1,
                    Err(error) => return Err(error),
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(removed);
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            version_marker = page.next_version_id_marker().map(str::to_owned);
        }
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        // S3 takes at most 1000, so the cast is exact.
        let request =
            request.max_keys(limit.min(1000) as i32).set_start_after(start_after.map(str::to_owned));
        let answer = request.send().await.map_err(|error| failure("list objects", prefix, error))?;
        let keys = answer.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
        Ok(Listing { keys, more: answer.is_truncated().unwrap_or(false) })
    }

    /// A listing tells the sizes: no look at each object is needed.
    async fn sizes(&self, prefix: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let mut found: Vec<(String, u64)> = Vec::new();
        loop {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(1000);
            let request = request.set_start_after(found.last().map(|(key, _)| key.clone()));
            let page = request.send().await.map_err(|error| failure("list objects", prefix, error))?;
            for object in page.contents() {
                let bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                found.extend(object.key().map(|key| (key.to_owned(), bytes)));
            }
            if page.is_truncated() != Some(true) {
                return Ok(found);
            }
        }
    }

    async fn presign_get(
        &self,
        key: &str,
        valid: Duration,
        download_name: Option<&str>,
    ) -> Result<String, StoreError> {
        let config = PresigningConfig::expires_in(valid).map_err(|_| UNSIGNABLE_TIME)?;
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let request = request.set_response_content_disposition(download_name.map(attachment));
        let signed = request.presigned(config).await;
        Ok(signed.map_err(|error| failure("sign a link", key, error))?.uri().to_owned())
    }

    async fn presign_put(&self, key: &str, terms: &PutTerms) -> Result<PresignedPut, StoreError> {
        let start = UNIX_EPOCH + Duration::from_secs(terms.now);
        let config = PresigningConfig::builder().start_time(start).expires_in(terms.valid);
        let config = config.build().map_err(|_| UNSIGNABLE_TIME)?;
        let length = i64::try_from(terms.bytes);
        let length = length.map_err(|_| StoreError::Unsignable { reason: "the size is too large" })?;
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = request.content_length(length).content_type(&terms.content_type).if_none_match("*");
        let signed = request.checksum_sha256(checksum_base64(terms)?).presigned(config).await;
        let signed = signed.map_err(|error| failure("sign a link", key, error))?;
        Ok(put_link(&signed, terms.now + terms.valid.as_secs()))
    }
}

const UNSIGNABLE_TIME: StoreError =
    StoreError::Unsignable { reason: "links are valid for 1 second to 7 days" };

/// `content-length` and `host` are left out: browsers set them themselves and refuse to have them set. So is the trace that the SDK adds to
/// whatever it makes in Lambda: it is not signed, belongs to the API's request and not to the upload, and no bucket lets a page send it.
fn put_link(signed: &PresignedRequest, expires_at: u64) -> PresignedPut {
    let set_by_client = |name: &str| matches!(name, "content-length" | "host" | "x-amzn-trace-id");
    let headers = signed.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    PresignedPut {
        method: "PUT".into(),
        url: signed.uri().to_owned(),
        headers: headers.filter(|(name, _)| !set_by_client(name)).collect(),
        expires_at,
    }
}

type PutRequest = aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
type PutAnswer = Result<
    aws_sdk_s3::operation::put_object::PutObjectOutput,
    SdkError<aws_sdk_s3::operation::put_object::PutObjectError>,
>;

/// Sends a conditional put without the SDK's retries; see the module's head.
async fn once(request: PutRequest) -> PutAnswer {
    let config = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
    request.customize().config_override(config).send().await
}

/// Sorts an SDK error by status; codes are S3's own fixed words, never content.
fn failure<E: ProvideErrorMetadata>(operation: &'static str, key: &str, error: SdkError<E>) -> StoreError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (status, error.code()) {
        (Some(404), _) => StoreError::NotFound { key: key.to_owned() },
        (Some(412), _) | (Some(409), Some("ConditionalRequestConflict")) => StoreError::PreconditionFailed,
        (status, code) => {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
            unavailable(operation, &code.map_or_else(|| status.clone(), |code| format!("{status}, {code}")))
        }
    }
}

fn unavailable(operation: &'static str, reason: &str) -> StoreError {
    StoreError::Unavailable { operation, reason: reason.to_owned() }
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
