//! The embedded S3 over real sockets: the store's conformance suite, presigned links that were tampered with, and races.

use super::{router, store};
use crate::data_dir::Credentials;
use crate::test_http::{Answer, RawHttp, request};
use api_function::OsEntropy;
use base64::Engine as _;
use bytes::Bytes;
use jobs::{
    Clock, PutCondition, PutTerms, S3Store, Store, StoreError, SystemClock, conformance, link_conformance,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const ORIGIN: &str = "http://127.0.0.1:8787";
const CONTENT: &[u8] = b"hello world";

/// A running S3 in a folder that goes away with it.
struct Running {
    store: S3Store,
    url: String,
    server: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let credentials = Credentials { access_key: "AKTEST".into(), secret_key: "a secret for tests".into() };
    let clock = Arc::new(SystemClock::new());
    let service = router(folder.path(), &credentials, ORIGIN, clock, Arc::new(OsEntropy)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    Running { store: store(&url, &credentials), url, server, _folder: folder }
}

fn terms(content: &[u8], now: u64) -> PutTerms {
    PutTerms {
        bytes: content.len() as u64,
        sha256: hex::encode(Sha256::digest(content)),
        content_type: "application/octet-stream".into(),
        valid: Duration::from_secs(60),
        now,
    }
}

/// A presigned PUT of [`CONTENT`]: its URL and headers.
async fn ticket(running: &Running, key: &str) -> (String, Vec<(String, String)>) {
    let link = running.store.presign_put(key, &terms(CONTENT, SystemClock::new().now())).await.unwrap();
    (link.url, link.headers.into_iter().collect())
}

fn without(headers: &[(String, String)], name: &str) -> Vec<(String, String)> {
    headers.iter().filter(|(header, _)| header != name).cloned().collect()
}

fn with(headers: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut changed = without(headers, name);
    changed.push((name.to_owned(), value.to_owned()));
    changed
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{}", answer.text());
}

async fn is_absent(running: &Running, key: &str) -> bool {
    matches!(running.store.head(key).await, Err(StoreError::NotFound { .. }))
}

#[tokio::test]
async fn it_is_a_store() {
    let running = start().await;
    conformance::run(Arc::new(running.store.clone()), "conformance/").await;
}

#[tokio::test]
async fn its_links_allow_what_they_say_and_nothing_beyond() {
    let running = start().await;
    let now = SystemClock::new().now();
    let (store, prefix) = (&running.store, "links/");
    link_conformance::run(&link_conformance::Subject { store, http: &RawHttp, prefix, now }).await;
}

#[tokio::test]
async fn a_presigned_put_works_once_for_its_content() {
    let running = start().await;
    let (url, headers) = ticket(&running, "k").await;
    for name in ["content-type", "x-amz-checksum-sha256", "if-none-match"] {
        assert!(headers.iter().any(|(header, _)| header == name), "{name}");
    }
    assert_eq!(request("PUT", &url, &headers, CONTENT).await.status, 200);
    assert_eq!(&running.store.get("k").await.unwrap().bytes[..], CONTENT);
    assert_refused(&request("PUT", &url, &headers, CONTENT).await, 412, "PreconditionFailed");
}

#[tokio::test]
async fn a_presigned_put_takes_nothing_else() {
    let running = start().await;
    let (url, headers) = ticket(&running, "k").await;
    let other_sum = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(b"HELLO WORLD"));
    let cases = [
        ("another content of that length", headers.clone(), &b"HELLO WORLD"[..], 400, "BadDigest"),
        ("a longer content", headers.clone(), b"hello world!", 403, "SignatureDoesNotMatch"),
        ("a shorter content", headers.clone(), b"hello", 403, "SignatureDoesNotMatch"),
        ("no condition", without(&headers, "if-none-match"), CONTENT, 403, "SignatureDoesNotMatch"),
        (
            "another condition",
            with(&headers, "if-none-match", "\"x\""),
            CONTENT,
            403,
            "SignatureDoesNotMatch",
        ),
        ("no checksum", without(&headers, "x-amz-checksum-sha256"), CONTENT, 403, "SignatureDoesNotMatch"),
        (
            "another checksum",
            with(&headers, "x-amz-checksum-sha256", &other_sum),
            b"HELLO WORLD",
            403,
            "SignatureDoesNotMatch",
        ),
        ("another type", with(&headers, "content-type", "text/html"), CONTENT, 403, "SignatureDoesNotMatch"),
        ("no type", without(&headers, "content-type"), CONTENT, 403, "SignatureDoesNotMatch"),
    ];
    for (what, headers, content, status, code) in cases {
        let answer = request("PUT", &url, &headers, content).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_refused(&answer, status, code);
        assert!(is_absent(&running, "k").await, "{what}");
    }
    assert_eq!(request("PUT", &url, &headers, CONTENT).await.status, 200);
}

#[tokio::test]
async fn a_changed_link_is_refused() {
    let running = start().await;
    let (url, headers) = ticket(&running, "tenant-a/k").await;
    let changes = [
        url.replace("tenant-a/k", "tenant-b/k"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=604800"),
        url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        url.replace("X-Amz-SignedHeaders=content-length%3B", "X-Amz-SignedHeaders="),
        format!("{url}&extra=1"),
    ];
    for changed in changes {
        assert_ne!(changed, url);
        let answer = request("PUT", &changed, &headers, CONTENT).await;
        assert!(matches!(answer.status, 400 | 403), "{changed}: {}", answer.text());
    }
    for method in ["GET", "DELETE", "HEAD"] {
        assert_eq!(request(method, &url, &headers, b"").await.status, 403, "{method}");
    }
    assert!(is_absent(&running, "tenant-a/k").await && is_absent(&running, "tenant-b/k").await);
}

#[tokio::test]
async fn an_expired_link_is_refused() {
    let running = start().await;
    let past = SystemClock::new().now() - 3600;
    let link = running.store.presign_put("k", &terms(CONTENT, past)).await.unwrap();
    let headers: Vec<_> = link.headers.into_iter().collect();
    assert_refused(&request("PUT", &link.url, &headers, CONTENT).await, 403, "AccessDenied");
    assert!(is_absent(&running, "k").await);
}

#[tokio::test]
async fn a_link_works_from_its_beginning_to_its_end() {
    let running = start().await;
    let now = SystemClock::new().now();
    // Links of 60 s that began so long ago. Thirty seconds to either side: no machine is that slow between signing and asking.
    for (key, begun, status, code) in
        [("young", now - 30, 200, ""), ("old", now - 90, 403, "AccessDenied"), ("early", now + 3600, 403, "")]
    {
        let link = running.store.presign_put(key, &terms(CONTENT, begun)).await.unwrap();
        let headers: Vec<_> = link.headers.into_iter().collect();
        let answer = request("PUT", &link.url, &headers, CONTENT).await;
        assert_eq!(answer.status, status, "{key}: {}", answer.text());
        assert!(answer.text().contains(code), "{key}: {}", answer.text());
        assert_eq!(is_absent(&running, key).await, status != 200, "{key}");
    }
}

/// Headers that steer S3 and that nobody signed: as on AWS, none gets through, neither on a PUT nor on a GET.
#[tokio::test]
async fn a_link_takes_no_steering_header_that_it_does_not_sign() {
    let running = start().await;
    let (url, headers) = ticket(&running, "k").await;
    running.store.put("other", Bytes::from_static(b"another's"), PutCondition::Always).await.unwrap();
    let get = running.store.presign_get("other", Duration::from_secs(60), None).await.unwrap();
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "uri=http://acs.amazonaws.com/groups/global/AllUsers"),
        ("x-amz-meta-note", "a"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-copy-source", "/dpft-files/other"),
        ("x-amz-website-redirect-location", "https://evil.example/"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-security-token", "a"),
        ("X-AMZ-ACL", "public-read"),
    ] {
        let answer = request("PUT", &url, &with(&headers, name, value), CONTENT).await;
        assert_refused(&answer, 403, "AccessDenied");
        assert!(is_absent(&running, "k").await, "{name}");
        let answer = request("GET", &get, &[(name.to_owned(), value.to_owned())], b"").await;
        assert_refused(&answer, 403, "AccessDenied");
    }
    assert_eq!(request("GET", &get, &[], b"").await.body, b"another's");
    assert_eq!(request("PUT", &url, &headers, CONTENT).await.status, 200);
}

#[tokio::test]
async fn a_download_link_is_for_one_key_one_method_and_one_bucket() {
    let running = start().await;
    for key in ["tenants/a/k", "tenants/a/k2", "tenants/b/k"] {
        running.store.put(key, Bytes::from_static(CONTENT), PutCondition::Always).await.unwrap();
    }
    let link = running.store.presign_get("tenants/a/k", Duration::from_secs(60), None).await.unwrap();
    assert_eq!(request("GET", &link, &[], b"").await.status, 200);
    let changes = [
        link.replace("/tenants/a/k?", "/tenants/b/k?"),
        link.replace("/tenants/a/k?", "/tenants/a/k2?"),
        link.replace("/tenants/a/k?", "/tenants/a/../b/k?"),
        link.replace("/tenants/a/k?", "/tenants/a/%2e%2e/b/k?"),
        link.replace("/tenants/a/k?", "/tenants%2Fb%2Fk?"),
        link.replace("/tenants/a/k?", "/?list-type=2&"),
        link.replace("/dpft-files/", "/another-bucket/"),
        link.replace("/dpft-files/", "//dpft-files/"),
        link.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        link.replace("%2Fs3%2F", "%2Fsts%2F"),
        format!("{link}&acl"),
        format!("{link}&tagging"),
        format!("{link}&versionId=1"),
        format!("{link}&response-content-type=text%2Fhtml"),
    ];
    for changed in changes {
        assert_ne!(changed, link);
        let answer = request("GET", &changed, &[], b"").await;
        assert!((400..500).contains(&answer.status), "{changed}: {} {}", answer.status, answer.text());
        assert!(!answer.body.windows(CONTENT.len()).any(|window| window == CONTENT), "{changed}");
    }
    for method in ["PUT", "DELETE", "HEAD"] {
        assert_eq!(request(method, &link, &[], b"").await.status, 403, "{method}");
    }
    assert_eq!(&running.store.get("tenants/a/k").await.unwrap().bytes[..], CONTENT);
}

#[tokio::test]
async fn requests_without_a_signature_are_refused() {
    let running = start().await;
    running.store.put("k", Bytes::from_static(CONTENT), PutCondition::Always).await.unwrap();
    for (method, path) in
        [("GET", "/dpft-files/k"), ("PUT", "/dpft-files/k"), ("GET", "/dpft-files?list-type=2"), ("GET", "/")]
    {
        assert_eq!(
            request(method, &format!("{}{path}", running.url), &[], b"").await.status,
            403,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_presigned_get_reads_all_or_a_range_and_names_the_download() {
    let running = start().await;
    running.store.put("k", Bytes::from_static(CONTENT), PutCondition::Always).await.unwrap();
    let link = running.store.presign_get("k", Duration::from_secs(60), Some("my file.txt")).await.unwrap();
    let all = request("GET", &link, &[], b"").await;
    assert_eq!((all.status, &all.body[..]), (200, CONTENT));
    assert!(all.header("content-disposition").contains("my%20file.txt"));
    let range = [("range".to_owned(), "bytes=6-".to_owned())];
    let part = request("GET", &link, &range, b"").await;
    assert_eq!((part.status, &part.body[..]), (206, &b"world"[..]));
    assert_eq!(part.header("content-range"), "bytes 6-10/11");
    // Another name for the download would be another link.
    let renamed = link.replace("file.txt", "file.exe");
    assert_ne!(renamed, link);
    assert_refused(&request("GET", &renamed, &[], b"").await, 403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn of_twenty_conditional_puts_one_wins() {
    let running = start().await;
    for round in 0..3 {
        let key = format!("race/{round}");
        let puts = (0..20_u8).map(|number| {
            let (store, key) = (running.store.clone(), key.clone());
            tokio::spawn(
                async move { store.put(&key, Bytes::from(vec![number]), PutCondition::IfAbsent).await },
            )
        });
        let puts: Vec<_> = puts.collect();
        let mut wins = 0;
        for put in puts {
            match put.await.unwrap() {
                Ok(_) => wins += 1,
                Err(error) => assert_eq!(error, StoreError::PreconditionFailed),
            }
        }
        assert_eq!(wins, 1);
    }
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing() {
    let running = start().await;
    let (url, headers) = ticket(&running, "k").await;
    crate::test_http::broken_request("PUT", &url, &headers, CONTENT.len(), b"hello").await;
    assert!(is_absent(&running, "k").await);
    assert_eq!(request("PUT", &url, &headers, CONTENT).await.status, 200);
}

#[tokio::test]
async fn only_the_page_may_use_links_from_a_browser() {
    let running = start().await;
    let preflight = |origin: &str| {
        let headers = [
            ("origin".to_owned(), origin.to_owned()),
            ("access-control-request-method".to_owned(), "PUT".to_owned()),
            ("access-control-request-headers".to_owned(), "x-amz-checksum-sha256,if-none-match".to_owned()),
        ];
        let url = format!("{}/dpft-files/k", running.url);
        async move { request("OPTIONS", &url, &headers, b"").await }
    };
    let allowed = preflight(ORIGIN).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, ORIGIN));
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    assert_ne!(
        preflight("http://evil.example").await.header("access-control-allow-origin"),
        "http://evil.example"
    );
}

#[tokio::test]
async fn a_browser_may_neither_delete_nor_send_credentials_nor_read_from_elsewhere() {
    let running = start().await;
    running.store.put("k", Bytes::from_static(CONTENT), PutCondition::Always).await.unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let link = running.store.presign_get("k", Duration::from_secs(60), None).await.unwrap();
    for origin in ["http://evil.example", "null", "http://127.0.0.1:8788", "https://127.0.0.1:8787"] {
        let answer = request("GET", &link, &[header("origin", origin)], b"").await;
        assert_ne!(answer.header("access-control-allow-origin"), origin);
        assert_ne!(answer.header("access-control-allow-origin"), "*");
    }
    for method in ["DELETE", "POST", "PATCH"] {
        let asked = [header("origin", ORIGIN), header("access-control-request-method", method)];
        let answer = request("OPTIONS", &link, &asked, b"").await;
        assert!(!answer.header("access-control-allow-methods").contains(method), "{method}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    // The page reads why a link was refused.
    let refused = [header("origin", ORIGIN), header("x-amz-acl", "public-read")];
    let answer = request("GET", &link, &refused, b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ORIGIN));
}

#[tokio::test]
async fn odd_and_long_keys_are_kept_apart() {
    let running = start().await;
    let keys = ["a b+c%20d", "naïve/ключ", "a//b", "./x", "a/../b", &"k".repeat(1000), "trailing/"];
    for key in keys {
        let content = Bytes::from(key.to_owned());
        running.store.put(key, content.clone(), PutCondition::IfAbsent).await.unwrap();
        assert_eq!(running.store.get(key).await.unwrap().bytes, content);
    }
    let mut listed = running.store.list("", None, 1000).await.unwrap().keys;
    let mut expected = keys.map(str::to_owned).to_vec();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}
