use super::{require, unsigned};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::middleware::from_fn;
use axum::routing::put;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use tower::ServiceExt;

const LINK: &str =
    "/b/k?X-Amz-Date=1&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-checksum-sha256&X-Amz-Signature=0";

/// Headers that would steer S3.
const STEERING: [&str; 8] = [
    "x-amz-acl",
    "x-amz-meta-note",
    "x-amz-tagging",
    "x-amz-storage-class",
    "x-amz-copy-source",
    "x-amz-website-redirect-location",
    "x-amz-server-side-encryption",
    "x-amz-content-sha256",
];

fn found(uri: &str, names: &[&'static str]) -> Option<String> {
    let names = names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("v")));
    unsigned(&uri.parse::<Uri>().unwrap(), &names.collect::<HeaderMap>())
}

#[test]
fn what_the_link_signs_passes_and_nothing_else_that_steers_does() {
    assert_eq!(found(LINK, &["x-amz-checksum-sha256", "content-type", "host", "origin", "range"]), None);
    for name in STEERING {
        assert_eq!(found(LINK, &["x-amz-checksum-sha256", name]).as_deref(), Some(name));
    }
}

#[test]
fn no_spelling_of_the_link_hides_what_it_signs() {
    let cases = [
        LINK.replace("X-Amz-SignedHeaders", "X%2DAmz%2DSigned%48eaders"),
        LINK.replace("content-type%3B", "Content-Type;"),
        LINK.replace("content-type%3Bhost%3Bx-amz-checksum-sha256", ""),
        LINK.replace("content-type%3Bhost%3Bx-amz-checksum-sha256", "x-amz-ac%3Bx-amz-acl2"),
        format!("{LINK}&X-Amz-SignedHeaders=host"),
    ];
    for link in cases {
        assert_eq!(found(&link, &["x-amz-acl"]).as_deref(), Some("x-amz-acl"), "{link}");
    }
}

#[test]
fn a_request_that_is_no_link_is_left_to_its_own_signature() {
    assert_eq!(found("/b/k", &["x-amz-date", "x-amz-content-sha256"]), None);
    assert_eq!(found("/b?list-type=2&prefix=a", &["x-amz-user-agent"]), None);
}

#[tokio::test]
async fn the_refusal_is_s3s() {
    let router = Router::new().route("/b/k", put(async || "written")).layer(from_fn(require));
    let send = async |name: &str| {
        let request = Request::put(LINK).header(name, "v").body(Body::empty()).unwrap();
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, 10_000).await.unwrap().to_vec()).unwrap();
        (parts.status.as_u16(), text)
    };
    assert_eq!(send("x-amz-checksum-sha256").await, (200, "written".to_owned()));
    let (status, text) = send("X-Amz-Acl").await;
    assert_eq!(status, 403);
    assert!(text.contains("<Code>AccessDenied</Code>") && text.contains("x-amz-acl"), "{text}");
}
