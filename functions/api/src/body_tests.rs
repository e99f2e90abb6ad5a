use super::{MAX_DRAINED_BYTES, PATIENCE};
use crate::test_world::{KEY_A, World, json_request};
use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt, poll, stream};
use protocol::api::MAX_BODY_BYTES;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// A body of unknown length, as `transfer-encoding: chunked` brings it, that counts what was taken of it.
fn chunked(chunk: usize, chunks: usize) -> (Body, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let counter = taken.clone();
    let content = Bytes::from(vec![b' '; chunk]);
    let body = stream::repeat(content).take(chunks).map(move |chunk| {
        counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok::<_, Infallible>(chunk)
    });
    (Body::from_stream(body), taken)
}

#[tokio::test]
async fn the_limit_is_exact_with_and_without_a_declared_length() {
    let world = World::new().await;
    let limit = usize::try_from(MAX_BODY_BYTES).unwrap();
    // White space alone is no JSON: what passes the limit is refused as that, so it did pass.
    for (bytes, status, code) in [(limit, 400, "invalid_json"), (limit + 1, 413, "file_too_large")] {
        let whole = world.post_text("/v1/uploads", Body::from(vec![b' '; bytes])).await;
        whole.assert_error(status, code);
        let (body, taken) = chunked(1, bytes);
        world.post_text("/v1/uploads", body).await.assert_error(status, code);
        assert_eq!(taken.load(Ordering::Relaxed), bytes as u64);
    }
}

#[tokio::test]
async fn an_endless_body_is_given_up_and_never_kept() {
    let world = World::new().await;
    let (body, taken) = chunked(MIB, usize::MAX);
    world.post_text("/v1/uploads", body).await.assert_error(413, "file_too_large");
    let taken = taken.load(Ordering::Relaxed);
    assert!((MAX_DRAINED_BYTES..=MAX_DRAINED_BYTES + MIB as u64).contains(&taken), "{taken}");
}

#[tokio::test]
async fn a_client_that_never_sends_is_given_up_when_its_time_is_over() {
    let world = World::new().await;
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let mut answer = pin!(world.post_text("/v1/uploads", body));
    assert!(poll!(&mut answer).is_pending());
    world.clock.advance(PATIENCE - Duration::from_millis(1));
    assert!(poll!(&mut answer).is_pending(), "not before the time is over");
    world.clock.advance(Duration::from_millis(1));
    let Poll::Ready(reply) = poll!(&mut answer) else { panic!("the time is over") };
    reply.assert_error(408, "request_timeout");
    assert_eq!(reply.body["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_trickle_does_not_extend_the_time() {
    let world = World::new().await;
    let (mut sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let mut answer = pin!(world.post_text("/v1/uploads", Body::from_stream(receiver)));
    for second in 0..PATIENCE.as_secs() {
        sender.send(Ok(Bytes::from_static(b" "))).await.unwrap();
        assert!(poll!(&mut answer).is_pending(), "after {second} s");
        world.clock.advance(Duration::from_secs(1));
    }
    let Poll::Ready(reply) = poll!(&mut answer) else { panic!("a byte a second is too slow") };
    reply.assert_error(408, "request_timeout");
    assert!(sender.send(Ok(Bytes::new())).await.is_err(), "the body was let go");
}

#[tokio::test]
async fn a_slow_body_that_is_whole_in_time_is_taken() {
    let world = World::new().await;
    let (mut sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let mut answer = pin!(world.post_text("/v1/uploads", Body::from_stream(receiver)));
    let text = br#"{"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"}"#;
    for byte in text.chunks(text.len() / 20) {
        sender.send(Ok(Bytes::from_static(byte))).await.unwrap();
        assert!(poll!(&mut answer).is_pending());
        world.clock.advance(Duration::from_secs(1));
    }
    drop(sender);
    assert_eq!(answer.await.ok()["status"], "pending");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_body() {
    let world = World::new().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    world.post_text("/v1/uploads", Body::from_stream(broken)).await.assert_error(400, "incomplete_body");
}

#[tokio::test]
async fn compressed_bodies_are_refused_and_never_unfolded() {
    let world = World::new().await;
    for encoding in ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "identity,gzip", "", "GZIP"]
    {
        let mut request = json_request("/v1/uploads", "{}");
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        world.send(KEY_A, request).await.assert_error(415, "unsupported_encoding");
    }
    let mut twice = json_request("/v1/uploads", "{}");
    twice.headers_mut().append("content-encoding", "identity".parse().unwrap());
    twice.headers_mut().append("content-encoding", "gzip".parse().unwrap());
    world.send(KEY_A, twice).await.assert_error(415, "unsupported_encoding");
    let mut plain = json_request("/v1/uploads", "{}");
    plain.headers_mut().insert("content-encoding", "Identity".parse().unwrap());
    world.send(KEY_A, plain).await.assert_error(400, "invalid_json");
}

#[tokio::test]
async fn a_body_where_none_belongs_is_bounded_too() {
    let world = World::new().await;
    let (body, _) = chunked(MIB, 5);
    let request = Request::get("/v1/files").body(body).unwrap();
    world.send(KEY_A, request).await.assert_error(413, "file_too_large");
}
