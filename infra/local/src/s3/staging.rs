//! Takes in an object's content: to a staged file, hashed on the way, and refused unless it is what the request declared.
//!
//! Nothing here is visible to readers; [`super::directory::Directory::commit`] makes it so.

use super::directory::{Directory, Entry};
use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::PutObjectInput;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};
use tokio::io::AsyncWriteExt;

/// The largest object S3 takes in one PUT: 5 GiB.
const MAX_OBJECT_BYTES: u64 = 5 << 30;

/// Writes the body of `input` to the staged file `blob`, checks length and checksums, and says what was written.
///
/// # Errors
/// `IncompleteBody`, `EntityTooLarge`, `BadDigest` or `InternalError`; the staged file is removed.
pub(super) async fn stage(
    directory: &Directory,
    blob: String,
    mut input: PutObjectInput,
    trailers: Option<TrailingHeaders>,
    now: u64,
) -> S3Result<Entry> {
    let path = directory.staged_path(&blob);
    let staged = async {
        let mut hasher = Hasher::for_request(&input, &trailers)?;
        let bytes = copy(&path, &mut input, &mut hasher).await?;
        if input.content_length.is_some_and(|declared| declared != i64::try_from(bytes).unwrap_or(i64::MAX)) {
            return Err(s3_error!(IncompleteBody));
        }
        let (etag, sha256) = hasher.check(&input, trailers)?;
        Ok((bytes, etag, sha256))
    };
    match staged.await {
        Ok((bytes, etag, sha256)) => Ok(Entry {
            key: input.key,
            blob,
            bytes,
            etag,
            sha256,
            content_type: input.content_type,
            modified: now,
        }),
        Err(error) => {
            // It may not have been made yet.
            let _ = tokio::fs::remove_file(&path).await;
            Err(error)
        }
    }
}

async fn copy(path: &std::path::Path, input: &mut PutObjectInput, hasher: &mut Hasher) -> S3Result<u64> {
    let mut file = tokio::fs::File::create(path).await.map_err(internal)?;
    let mut bytes = 0_u64;
    let mut body = input.body.take();
    while let Some(chunk) = match &mut body {
        Some(body) => body.next().await,
        None => None,
    } {
        // The sender broke off, or a signed chunk does not match: the content is not what was declared.
        let chunk = chunk.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
        bytes += chunk.len() as u64;
        if bytes > MAX_OBJECT_BYTES {
            return Err(s3_error!(EntityTooLarge));
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(internal)?;
    }
    file.flush().await.map_err(internal)?;
    file.sync_data().await.map_err(internal)?;
    Ok(bytes)
}

pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> s3s::S3Error {
    s3_error!(error, InternalError)
}

/// MD5 for the ETag, SHA-256 always, and whatever else the request names.
struct Hasher {
    md5: Md5,
    named: ChecksumHasher,
}

impl Hasher {
    fn for_request(input: &PutObjectInput, trailers: &Option<TrailingHeaders>) -> S3Result<Self> {
        // Which checksum a trailer will bring is known only at its end, so all are computed then.
        let all = trailers.is_some();
        let named = ChecksumHasher {
            crc32: (all || input.checksum_crc32.is_some()).then(Default::default),
            crc32c: (all || input.checksum_crc32c.is_some()).then(Default::default),
            sha1: (all || input.checksum_sha1.is_some()).then(s3s::crypto::Sha1::new),
            sha256: Some(s3s::crypto::Sha256::new()),
            crc64nvme: (all || input.checksum_crc64nvme.is_some()).then(Default::default),
        };
        Ok(Self { md5: Md5::new(), named })
    }

    fn update(&mut self, chunk: &[u8]) {
        self.md5.update(chunk);
        self.named.update(chunk);
    }

    /// ETag (MD5, hexadecimal) and SHA-256 (base64), when every declared checksum is met.
    fn check(self, input: &PutObjectInput, trailers: Option<TrailingHeaders>) -> S3Result<(String, String)> {
        use base64::Engine as _;
        let (md5, sums) = (self.md5.finalize(), self.named.finalize());
        let declared_md5 = input.content_md5.as_ref();
        let actual_md5 = base64::engine::general_purpose::STANDARD.encode(md5);
        let headers = trailers.and_then(|trailers| trailers.take());
        let trailing = |name: &str| Some(headers.as_ref()?.get(name)?.to_str().ok()?.to_owned());
        let pairs = [
            ("crc32", &input.checksum_crc32, &sums.checksum_crc32),
            ("crc32c", &input.checksum_crc32c, &sums.checksum_crc32c),
            ("sha1", &input.checksum_sha1, &sums.checksum_sha1),
            ("sha256", &input.checksum_sha256, &sums.checksum_sha256),
            ("crc64nvme", &input.checksum_crc64nvme, &sums.checksum_crc64nvme),
        ];
        let wrong = pairs.iter().any(|(name, header, actual)| {
            let trailer = trailing(&format!("x-amz-checksum-{name}"));
            [header.as_ref(), trailer.as_ref()]
                .into_iter()
                .flatten()
                .any(|declared| Some(declared) != actual.as_ref())
        });
        if wrong || declared_md5.is_some_and(|declared| *declared != actual_md5) {
            return Err(s3_error!(BadDigest));
        }
        Ok((hex::encode(md5), sums.checksum_sha256.unwrap_or_default()))
    }
}
