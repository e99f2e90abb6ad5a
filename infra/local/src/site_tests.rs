use super::with_site;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use axum::routing::get;
use http::Request;
use tower::ServiceExt;

const S3: &str = "http://127.0.0.1:8788";

async fn fetch(path: &str) -> Response {
    let folder = tempfile::tempdir().unwrap();
    let files = ["index.html", "worker.js", "page.css", "perturb_bg.wasm"];
    for name in files {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let secret = folder.path().parent().unwrap().join("outside-of-the-site");
    std::fs::write(&secret, "secret").unwrap();
    let api = Router::new().route("/v1/models", get(|| async { "models" }));
    let router = with_site(api, Some(folder.path()), S3);
    let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    Response::from_parts(parts, Body::from(bytes))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    for path in [
        "/",
        "/index.html",
        "/worker.js",
        "/perturb_bg.wasm",
        "/page.css",
        "/missing.js",
        "/v1/models",
        "/v1/none",
    ] {
        let response = fetch(path).await;
        let policy = header(&response, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"),
            "{path}: {policy}"
        );
        assert!(policy.contains("connect-src 'self' http://127.0.0.1:8788;"), "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin", "{path}");
    }
}

#[tokio::test]
async fn files_have_their_media_types() {
    let cases = [
        ("/", "text/html"),
        ("/worker.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/perturb_bg.wasm", "application/wasm"),
    ];
    for (path, media_type) in cases {
        assert!(header(&fetch(path).await, "content-type").starts_with(media_type), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_nothing_outside_is_served() {
    for path in [
        "/nothing",
        "/v1/nothing",
        "/../outside-of-the-site",
        "/%2e%2e/outside-of-the-site",
        "/..%2foutside-of-the-site",
    ] {
        assert_eq!(fetch(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn without_a_site_the_api_answers_alone() {
    let api = Router::new().route("/v1/models", get(|| async { "models" }));
    let router = with_site(api, None, S3);
    let response = router.oneshot(Request::get("/v1/models").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("content-security-policy"));
}
