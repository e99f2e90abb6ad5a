use super::*;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A client that never connects: signing needs no network.
fn store() -> S3Store {
    store_at("http://127.0.0.1:1")
}

fn store_at(endpoint: &str) -> S3Store {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    S3Store::new(aws_sdk_s3::Client::from_conf(config), "files".into())
}

fn terms() -> PutTerms {
    PutTerms {
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        content_type: "application/octet-stream".into(),
        valid: Duration::from_secs(900),
        now: 1_790_000_000,
    }
}

#[tokio::test]
async fn a_presigned_put_signs_size_type_checksum_and_absence() {
    let put = store().presign_put("tenants/acme/files/x/content", &terms()).await.unwrap();
    let signed = put.url.split("X-Amz-SignedHeaders=").nth(1).unwrap().split('&').next().unwrap();
    let signed: Vec<&str> = signed.split("%3B").collect();
    for name in ["content-length", "content-type", "host", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(signed.contains(&name), "{name} is not among {signed:?}");
    }
    let headers: Vec<(&str, &str)> = put.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let wanted = [
        ("content-type", "application/octet-stream"),
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ];
    assert_eq!(headers, wanted, "exactly what a browser must send");
    assert_eq!((put.method.as_str(), put.expires_at), ("PUT", 1_790_000_900));
    assert!(put.url.contains("X-Amz-Expires=900") && put.url.contains("X-Amz-Date=20260921T"), "{}", put.url);
}

#[tokio::test]
async fn different_terms_have_different_signatures() {
    let signature = async |terms: PutTerms| {
        let put = store().presign_put("key", &terms).await.unwrap();
        put.url.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let plain = signature(terms()).await;
    assert_eq!(plain, signature(terms()).await, "signing is deterministic");
    assert_ne!(plain, signature(PutTerms { bytes: 4, ..terms() }).await, "the size is signed");
    assert_ne!(plain, signature(PutTerms { content_type: "text/html".into(), ..terms() }).await);
    let other = terms().sha256.replace("ba78", "ba79");
    assert_ne!(plain, signature(PutTerms { sha256: other, ..terms() }).await, "the checksum is signed");
}

#[tokio::test]
async fn a_presigned_get_makes_the_browser_save_a_file() {
    let link = store().presign_get("key", Duration::from_secs(60), Some("privacy.json")).await.unwrap();
    assert!(link.contains("response-content-disposition=attachment"), "{link}");
    assert!(link.contains("privacy.json") && link.contains("X-Amz-Expires=60"), "{link}");
    let plain = store().presign_get("key", Duration::from_secs(60), None).await.unwrap();
    assert!(!plain.contains("response-content-disposition"));
}

#[tokio::test]
async fn nonsense_cannot_be_signed() {
    let eternal = PutTerms { valid: Duration::from_secs(8 * 24 * 3600), ..terms() };
    assert!(matches!(store().presign_put("key", &eternal).await, Err(StoreError::Unsignable { .. })));
    let bad_hash = PutTerms { sha256: "abc".into(), ..terms() };
    assert!(matches!(store().presign_put("key", &bad_hash).await, Err(StoreError::Unsignable { .. })));
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_unavailable() {
    let answer = store().put("key", Bytes::new(), PutCondition::IfAbsent).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
}

/// Answers every request with `status` and an S3 error of this `code`, and counts the requests.
async fn refusing_server(status: u16, code: &'static str) -> (S3Store, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store_at(&format!("http://{}", listener.local_addr().unwrap()));
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            refuse(stream, status, code).await;
        }
    });
    (store, requests)
}

async fn refuse(stream: TcpStream, status: u16, code: &str) {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    let body = format!("<Error><Code>{code}</Code><Message>secret words</Message></Error>");
    let head =
        format!("HTTP/1.1 {status} Refused\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn refusals_are_told_apart_by_status() {
    let conditional = || PutCondition::IfMatch("\"1\"".into());
    for (status, code) in
        [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (404, "NoSuchKey")]
    {
        let (store, _) = refusing_server(status, code).await;
        let answer = store.put("key", Bytes::from_static(b"x"), conditional()).await;
        assert_eq!(answer, Err(StoreError::PreconditionFailed), "{status} {code}");
    }
    let (store, _) = refusing_server(404, "NoSuchKey").await;
    assert_eq!(store.get("key").await, Err(StoreError::NotFound { key: "key".into() }));
    assert_eq!(store.delete("key").await, Ok(()));
    let (store, _) = refusing_server(403, "AccessDenied").await;
    let error = store.get("key").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }));
    assert!(error.to_string().contains("AccessDenied") && !error.to_string().contains("secret"), "{error}");
}

/// See the module's head: a hidden retry would make a put that landed look like one that was refused.
#[tokio::test]
async fn conditional_puts_are_sent_once_and_others_again() {
    for (condition, least, most) in [
        (PutCondition::IfAbsent, 1, 1),
        (PutCondition::IfMatch("\"1\"".into()), 1, 1),
        (PutCondition::Always, 2, 9),
    ] {
        let (store, requests) = refusing_server(500, "InternalError").await;
        let answer = store.put("key", Bytes::from_static(b"x"), condition.clone()).await;
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        let sent = requests.load(Ordering::Relaxed);
        assert!((least..=most).contains(&sent), "{condition:?} was sent {sent} times");
    }
}
