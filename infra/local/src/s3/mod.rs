//! An S3 on this machine: the real protocol over one directory, so that local mode runs the very code that runs on AWS.
//!
//! [`operations`] answers requests, [`staging`] takes content in and checks it, [`directory`] keeps it. Signatures, presigned links with their
//! expiry and signed headers, and XML are the work of the crate `s3s`; [`signed_headers`] refuses what a link's signature does not cover.

mod directory;
mod operations;
mod signed_headers;
mod staging;

use crate::data_dir::Credentials;
use crate::error::{LocalError, at};
use api_function::Entropy;
use axum::Router;
use axum::error_handling::HandleError;
use axum::middleware::from_fn;
use directory::Directory;
use http::{HeaderValue, Method, StatusCode};
use jobs::{Clock, S3Store};
use operations::Operations;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::path::Path;
use std::sync::Arc;
use tower_http::cors::{Any, CorsLayer};

/// The one bucket.
pub(crate) const BUCKET: &str = "dpft-files";

/// S3 asks for some region; nothing here depends on which.
const REGION: &str = "us-east-1";

/// The embedded S3 as a service to be listened with. `page_origin` is who may use presigned links from a browser.
pub(crate) fn router(
    folder: &Path,
    credentials: &Credentials,
    page_origin: &str,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Router, LocalError> {
    let root = folder.join(BUCKET);
    let directory = Arc::new(Directory::open(&root).map_err(at(&root))?);
    let mut builder = S3ServiceBuilder::new(Operations { bucket: BUCKET.into(), directory, clock, entropy });
    builder.set_auth(SimpleAuth::from_single(credentials.access_key.clone(), credentials.secret_key.clone()));
    let service =
        HandleError::new(builder.build(), |_: s3s::HttpError| async { StatusCode::INTERNAL_SERVER_ERROR });
    let router = Router::new().fallback_service(service).layer(from_fn(signed_headers::require));
    // Outermost, so that the page may read refusals, too.
    Ok(router.layer(cors(page_origin)))
}

/// A browser may GET and PUT from the page alone; the signature decides what.
fn cors(page_origin: &str) -> CorsLayer {
    // `http://` with an address and a port is always a valid header value.
    let origin = HeaderValue::from_str(page_origin).expect("an origin is plain text");
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT])
        .allow_headers(Any)
        .expose_headers([http::header::ETAG])
        // Chrome's own upper bound; saves a request per upload.
        .max_age(std::time::Duration::from_secs(7200))
}

/// A store that speaks to the embedded S3 at `url`.
pub(crate) fn store(url: &str, credentials: &Credentials) -> S3Store {
    let keys =
        aws_credential_types::Credentials::from_keys(&credentials.access_key, &credentials.secret_key, None);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(keys)
        .force_path_style(true)
        .build();
    S3Store::new(aws_sdk_s3::Client::from_conf(config), BUCKET.into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
