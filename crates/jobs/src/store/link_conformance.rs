//! What presigned links must allow, and nothing beyond: checks for every [`Store`] whose links lead somewhere.
//!
//! All keys lie under the given prefix, which must be empty at the start; the suite removes what it wrote.

use super::{PutCondition, PutTerms, Store, StoreError};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Status and content of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Content.
    pub body: Bytes,
}

/// Sends requests for the suite, exactly as it is told.
#[async_trait::async_trait]
pub trait Http: Send + Sync {
    /// Sends `body` to `url` by `method` with `headers` on top of the host and the length.
    async fn send(&self, method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Answer;
}

/// A store with links under test.
pub struct Subject<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// Sends what a browser would.
    pub http: &'a dyn Http,
    /// All keys lie under it.
    pub prefix: &'a str,
    /// The present time, in Unix seconds.
    pub now: u64,
}

/// Puts the store's links through the whole contract.
///
/// # Panics
/// When a check fails; the message says which.
pub async fn run(subject: &Subject<'_>) {
    a_put_link_writes_its_content_once(subject).await;
    a_put_link_writes_nothing_else(subject).await;
    a_put_link_ends(subject).await;
    a_get_link_reads_its_object_alone(subject).await;
    without_a_link_there_is_nothing(subject).await;
}

/// Names and values.
type Headers = Vec<(String, String)>;

const CONTENT: &[u8] = b"hello world";
const TYPE: &str = "application/octet-stream";

impl Subject<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A link to put [`CONTENT`] under `key`, valid for a minute from `now`: its address and headers.
    async fn put_link(&self, key: &str, now: u64) -> (String, Headers) {
        let sha256 = hex::encode(Sha256::digest(CONTENT));
        let valid = Duration::from_secs(60);
        let terms = PutTerms { bytes: CONTENT.len() as u64, sha256, content_type: TYPE.into(), valid, now };
        let link = self.store.presign_put(key, &terms).await.expect("a link");
        assert_eq!(link.method, "PUT");
        (link.url, link.headers.into_iter().collect())
    }

    async fn send(&self, method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Answer {
        self.http.send(method, url, headers, body).await
    }

    async fn assert_absent(&self, key: &str, why: &str) {
        let looked = self.store.head(key).await;
        assert!(matches!(looked, Err(StoreError::NotFound { .. })), "{why} writes nothing");
    }
}

/// `headers` with one of them set anew, or left out.
fn changed(headers: &[(String, String)], name: &str, value: Option<&str>) -> Headers {
    let others = headers.iter().filter(|(header, _)| header != name).cloned();
    others.chain(value.map(|value| (name.to_owned(), value.to_owned()))).collect()
}

fn refused(answer: &Answer, why: &str) {
    assert!((400..500).contains(&answer.status), "{why} is refused, not answered by {}", answer.status);
}

async fn a_put_link_writes_its_content_once(subject: &Subject<'_>) {
    let key = subject.key("put");
    let (url, headers) = subject.put_link(&key, subject.now).await;
    let first = subject.send("PUT", &url, &headers, CONTENT).await;
    assert_eq!(first.status, 200, "a link writes: {}", String::from_utf8_lossy(&first.body));
    assert_eq!(subject.store.get(&key).await.expect("a get").bytes, CONTENT, "the content is there");
    let second = subject.send("PUT", &url, &headers, CONTENT).await;
    assert_eq!(second.status, 412, "a link overwrites nothing");
    subject.store.delete(&key).await.expect("a delete");
}

async fn a_put_link_writes_nothing_else(subject: &Subject<'_>) {
    let key = subject.key("exact");
    let (url, headers) = subject.put_link(&key, subject.now).await;
    let sum_of_other = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(b"HELLO WORLD"))
    };
    let with = |name: &str, value: Option<&str>| changed(&headers, name, value);
    let cases: [(&str, Headers, &[u8]); 8] = [
        ("another content", headers.clone(), b"HELLO WORLD"),
        ("a longer content", headers.clone(), b"hello world!"),
        ("a shorter content", headers.clone(), b"hello"),
        ("no checksum", with("x-amz-checksum-sha256", None), CONTENT),
        ("another checksum", with("x-amz-checksum-sha256", Some(&sum_of_other)), b"HELLO WORLD"),
        ("no condition", with("if-none-match", None), CONTENT),
        ("another type", with("content-type", Some("text/html")), CONTENT),
        ("no type", with("content-type", None), CONTENT),
    ];
    for (why, headers, content) in cases {
        refused(&subject.send("PUT", &url, &headers, content).await, why);
        subject.assert_absent(&key, why).await;
    }
    let elsewhere = [
        ("another key", url.replace("exact", "exotic")),
        ("a longer validity", url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
        ("another signature", url.replace("X-Amz-Signature=", "X-Amz-Signature=0")),
    ];
    for (why, other) in elsewhere {
        assert_ne!(other, url);
        refused(&subject.send("PUT", &other, &headers, CONTENT).await, why);
        subject.assert_absent(&subject.key("exotic"), why).await;
    }
    for method in ["GET", "DELETE"] {
        refused(&subject.send(method, &url, &[], b"").await, "another method");
    }
    subject.assert_absent(&key, "all of this").await;
}

async fn a_put_link_ends(subject: &Subject<'_>) {
    let key = subject.key("late");
    let (url, headers) = subject.put_link(&key, subject.now - 3600).await;
    refused(&subject.send("PUT", &url, &headers, CONTENT).await, "a link of an hour ago");
    subject.assert_absent(&key, "a link of an hour ago").await;
}

async fn a_get_link_reads_its_object_alone(subject: &Subject<'_>) {
    let (key, other) = (subject.key("mine"), subject.key("thine"));
    for key in [&key, &other] {
        let content = Bytes::from_static(CONTENT);
        subject.store.put(key, content, PutCondition::Always).await.expect("a put");
    }
    let valid = Duration::from_secs(60);
    let link = subject.store.presign_get(&key, valid, Some("my file.txt")).await.expect("a link");
    for _ in 0..2 {
        let read = subject.send("GET", &link, &[], b"").await;
        assert_eq!((read.status, &read.body[..]), (200, CONTENT), "a link reads, as often as it is asked");
    }
    let cases = [
        ("another object", link.replace("mine", "thine")),
        ("another download name", link.replace("file.txt", "file.exe")),
        ("a longer validity", link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
    ];
    for (why, changed) in cases {
        assert_ne!(changed, link);
        let answer = subject.send("GET", &changed, &[], b"").await;
        refused(&answer, why);
        assert_ne!(&answer.body[..], CONTENT, "{why} shows nothing");
    }
    refused(&subject.send("PUT", &link, &[], b"other").await, "a PUT by a link to read");
    refused(&subject.send("DELETE", &link, &[], b"").await, "a DELETE by a link to read");
    assert_eq!(subject.store.get(&key).await.expect("a get").bytes, CONTENT, "the object is as it was");
    for key in [&key, &other] {
        subject.store.delete(key).await.expect("a delete");
    }
}

async fn without_a_link_there_is_nothing(subject: &Subject<'_>) {
    let key = subject.key("closed");
    let link = subject.store.presign_get(&key, Duration::from_secs(60), None).await.expect("a link");
    subject.store.put(&key, Bytes::from_static(CONTENT), PutCondition::Always).await.expect("a put");
    let bare = link.split('?').next().unwrap_or_default();
    refused(&subject.send("GET", bare, &[], b"").await, "a GET without a signature");
    refused(&subject.send("PUT", bare, &[], b"other").await, "a PUT without a signature");
    refused(&subject.send("DELETE", bare, &[], b"").await, "a DELETE without a signature");
    assert_eq!(subject.store.get(&key).await.expect("a get").bytes, CONTENT, "the object is as it was");
    subject.store.delete(&key).await.expect("a delete");
}
