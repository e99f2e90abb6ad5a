use crate::test_world::{KEY_A, Reply, World, form_request, json_request};
use jobs::Store;
use protocol::api::MAX_BODY_BYTES;
use serde_json::{Value, json};
use std::time::Duration;

async fn create(world: &World, bytes: u64) -> String {
    let body =
        json!({"filename": "a.txt", "bytes": bytes, "mime_type": "text/plain", "purpose": "fine-tune"});
    world.post("/v1/uploads", body).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn try_part(world: &World, upload: &str, content: &[u8], key: Option<&str>) -> Reply {
    let mut request =
        form_request(&format!("/v1/uploads/{upload}/parts"), Some("blob"), "data", content, &[]);
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    }
    world.send(KEY_A, request).await
}

async fn part(world: &World, upload: &str, content: &[u8]) -> String {
    try_part(world, upload, content, None).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn complete(world: &World, upload: &str, body: Value) -> Reply {
    world.post(&format!("/v1/uploads/{upload}/complete"), body).await
}

#[tokio::test]
async fn parts_become_a_file_in_the_order_named() {
    let world = World::new().await;
    let upload = create(&world, 11).await;
    let (second, first) = (part(&world, &upload, b"world").await, part(&world, &upload, b"hello ").await);
    let md5 = "5eb63bbbe01eeed093cb22bb8f5acdc3";
    let done = complete(&world, &upload, json!({"part_ids": [first, second], "md5": md5})).await.ok();
    assert_eq!((done["status"].as_str(), done["file"]["bytes"].as_u64()), (Some("completed"), Some(11)));
    let file = done["file"]["id"].as_str().unwrap();
    let stored = world.store.get(&format!("tenants/tenant-a/files/{file}/content")).await.unwrap();
    assert_eq!(&stored.bytes[..], b"hello world");
    assert_eq!(world.get(&format!("/v1/files/{file}")).await.ok()["status"], "processed");

    let again = complete(&world, &upload, json!({"part_ids": [first, second]})).await.ok();
    assert_eq!(again["file"]["id"].as_str(), Some(file));
    let parts = world.store.list(&format!("tenants/tenant-a/uploads/{upload}/part"), None, 10).await.unwrap();
    assert_eq!(parts.keys, Vec::<String>::new());
}

#[tokio::test]
async fn a_part_sent_again_under_its_key_is_the_same_part() {
    let world = World::new().await;
    let upload = create(&world, 3).await;
    let first = try_part(&world, &upload, b"abc", Some("k")).await.ok();
    let second = try_part(&world, &upload, b"abc", Some("k")).await.ok();
    assert_eq!(first["id"], second["id"]);
    assert_ne!(first["id"], try_part(&world, &upload, b"abc", Some("l")).await.ok()["id"]);
}

#[tokio::test]
async fn completion_checks_parts_sizes_and_digest() {
    let world = World::new().await;
    let upload = create(&world, 5).await;
    let (a, b) = (part(&world, &upload, b"hello").await, part(&world, &upload, b"x").await);
    let unknown = "part-000000000000000000000000";
    let cases = [
        (json!({"part_ids": [a, b]}), 400, "size_mismatch"),
        (json!({"part_ids": [b]}), 400, "size_mismatch"),
        (json!({"part_ids": []}), 400, "size_mismatch"),
        (json!({"part_ids": [a, a]}), 400, "invalid_parts"),
        (json!({"part_ids": vec![unknown; 100_000]}), 400, "invalid_parts"),
        (json!({"part_ids": [unknown]}), 404, "not_found"),
        (json!({"part_ids": ["../meta.json"]}), 400, "invalid_json"),
        (json!({"part_ids": [a], "md5": "0"}), 400, "checksum_mismatch"),
        (json!({"part_ids": [a], "md5": 5}), 400, "checksum_mismatch"),
        (json!({}), 400, "invalid_json"),
    ];
    for (body, status, code) in cases {
        complete(&world, &upload, body).await.assert_error(status, code);
    }
    assert_eq!(world.get("/v1/files").await.ok()["data"], json!([]));
    complete(&world, &upload, json!({"part_ids": [a], "md5": null})).await.ok();
}

#[tokio::test]
async fn two_completions_with_different_parts_do_not_mix() {
    let world = World::new().await;
    let upload = create(&world, 2).await;
    let (a, b) = (part(&world, &upload, b"a").await, part(&world, &upload, b"b").await);
    let meta = format!("tenants/tenant-a/uploads/{upload}/meta.json");
    let pending = world.store.get(&meta).await.unwrap().bytes;
    complete(&world, &upload, json!({"part_ids": [a, b]})).await.ok();
    // As the second of two requests saw it, before the first had finished.
    world.store.put(&meta, pending, jobs::PutCondition::Always).await.unwrap();
    for (id, content) in [(&a, "a"), (&b, "b")] {
        let key = format!("tenants/tenant-a/uploads/{upload}/{id}");
        world.store.put(&key, content.into(), jobs::PutCondition::Always).await.unwrap();
    }
    complete(&world, &upload, json!({"part_ids": [b, a]})).await.assert_error(409, "file_exists");
    let file = complete(&world, &upload, json!({"part_ids": [a, b]})).await.ok()["file"]["id"].clone();
    let key = format!("tenants/tenant-a/files/{}/content", file.as_str().unwrap());
    assert_eq!(&world.store.get(&key).await.unwrap().bytes[..], b"ab");
}

#[tokio::test]
async fn a_closed_upload_takes_nothing() {
    let world = World::new().await;
    let cancelled = create(&world, 1).await;
    let id = part(&world, &cancelled, b"x").await;
    for _ in 0..2 {
        let reply = world.post(&format!("/v1/uploads/{cancelled}/cancel"), json!({})).await.ok();
        assert_eq!(reply["status"], "cancelled");
    }
    try_part(&world, &cancelled, b"x", None).await.assert_error(409, "upload_closed");
    complete(&world, &cancelled, json!({"part_ids": [id]})).await.assert_error(409, "upload_closed");

    let completed = create(&world, 1).await;
    let id = part(&world, &completed, b"x").await;
    complete(&world, &completed, json!({"part_ids": [id]})).await.ok();
    let cancel = world.post(&format!("/v1/uploads/{completed}/cancel"), json!({})).await;
    cancel.assert_error(409, "upload_completed");
}

#[tokio::test]
async fn an_upload_expires() {
    let world = World::new().await;
    let upload = create(&world, 1).await;
    world.clock.advance(Duration::from_secs(3600));
    try_part(&world, &upload, b"x", None).await.assert_error(400, "upload_expired");
}

#[tokio::test]
async fn parts_are_bounded_in_size_and_number() {
    let world = World::new().await;
    let upload = create(&world, 100).await;
    try_part(&world, &upload, &vec![0; MAX_BODY_BYTES as usize], None)
        .await
        .assert_error(413, "file_too_large");
    try_part(&world, &upload, b"", None).await.assert_error(400, "empty_file");
    for _ in 0..super::MAX_PARTS {
        part(&world, &upload, b"x").await;
    }
    try_part(&world, &upload, b"x", None).await.assert_error(400, "too_many_parts");
}

#[tokio::test]
async fn wrong_requests_for_an_upload_are_refused() {
    let world = World::new().await;
    let request = |name: &str, value: Value| {
        let mut body =
            json!({"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"});
        body[name] = value;
        body
    };
    let cases = [
        (request("bytes", json!(0)), 400, "empty_file"),
        (request("bytes", json!(30_000_000)), 413, "file_too_large"),
        (request("purpose", json!("batch")), 400, "invalid_purpose"),
        (request("filename", json!("a\\b")), 400, "invalid_value"),
        (request("filename", json!(5)), 400, "invalid_json"),
    ];
    for (body, status, code) in cases {
        world.post("/v1/uploads", body).await.assert_error(status, code);
    }
    let upload = create(&world, 1).await;
    let not_a_form = json_request(&format!("/v1/uploads/{upload}/parts"), "{}");
    world.send(KEY_A, not_a_form).await.assert_error(400, "invalid_form");
}
