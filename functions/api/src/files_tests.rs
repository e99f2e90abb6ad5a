use crate::test_world::{KEY_A, KEY_B, MODEL, World, form_request};
use jobs::Store;
use protocol::api::MAX_BODY_BYTES;
use serde_json::{Value, json};
use std::time::Duration;

const PURPOSE: [(&str, &str); 1] = [("purpose", "fine-tune")];

fn ticket_request() -> Value {
    let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    json!({"filename": "a.dptk", "bytes": 11, "sha256": sha256, "purpose": "fine-tune"})
}

#[tokio::test]
async fn a_form_makes_a_file_that_is_there_at_once() {
    let world = World::new().await;
    let id = world.upload(b"one line\n").await;
    let file = world.get(&format!("/v1/files/{id}")).await.ok();
    assert_eq!(file["object"], "file");
    assert_eq!(file["bytes"], 9);
    assert_eq!(file["filename"], "train.txt");
    assert_eq!(file["purpose"], "fine-tune");
    assert_eq!(file["status"], "processed");
    assert!(file["download_url"].is_string());
}

#[tokio::test]
async fn content_is_a_redirect_to_a_signed_link() {
    let world = World::new().await;
    let id = world.upload(b"one line\n").await;
    let reply = world.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!(reply.status, 307);
    assert!(reply.headers["location"].to_str().unwrap().contains(&id));
}

#[tokio::test]
async fn a_ticket_names_every_header_to_send_and_the_file_waits_for_its_content() {
    let world = World::new().await;
    let ticket = world.post("/v1/files", ticket_request()).await.ok();
    assert_eq!(
        (ticket["upload"]["method"].as_str(), ticket["status"].as_str()),
        (Some("PUT"), Some("pending"))
    );
    assert!(ticket["upload"]["headers"].as_object().unwrap().contains_key("x-amz-checksum-sha256"));
    let id = ticket["id"].as_str().unwrap();
    let file = world.get(&format!("/v1/files/{id}")).await.ok();
    assert_eq!(file["status"], "pending");
    assert!(file.get("download_url").is_none());
    world.get(&format!("/v1/files/{id}/content")).await.assert_error(409, "file_pending");

    let key = format!("tenants/tenant-a/files/{id}/content");
    world.store.put(&key, "hello world".into(), jobs::PutCondition::IfAbsent).await.unwrap();
    assert_eq!(world.get(&format!("/v1/files/{id}")).await.ok()["status"], "processed");
}

#[tokio::test]
async fn content_of_another_size_does_not_count_as_arrived() {
    let world = World::new().await;
    let ticket = world.post("/v1/files", ticket_request()).await.ok();
    let id = ticket["id"].as_str().unwrap();
    let key = format!("tenants/tenant-a/files/{id}/content");
    world.store.put(&key, "hello".into(), jobs::PutCondition::IfAbsent).await.unwrap();
    assert_eq!(world.get(&format!("/v1/files/{id}")).await.ok()["status"], "pending");
}

#[tokio::test]
async fn the_list_is_newest_first_and_comes_in_pages() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, world.upload(b"a\n").await);
        world.clock.advance(Duration::from_secs(1));
    }
    let names = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.get("/v1/files").await.ok();
    assert_eq!((names(&all), all["has_more"].as_bool()), (ids.clone(), Some(false)));
    let first = world.get("/v1/files?limit=2").await.ok();
    assert_eq!((names(&first), first["has_more"].as_bool()), (ids[..2].to_vec(), Some(true)));
    let after = first["last_id"].as_str().unwrap();
    let second = world.get(&format!("/v1/files?limit=3&after={after}")).await.ok();
    assert_eq!((names(&second), second["has_more"].as_bool()), (ids[2..].to_vec(), Some(false)));
    ids.reverse();
    assert_eq!(names(&world.get("/v1/files?order=asc").await.ok()), ids);
    assert_eq!(names(&world.get("/v1/files?purpose=fine-tune-results").await.ok()), Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_file_is_gone_with_its_content() {
    let world = World::new().await;
    let id = world.upload(b"a\n").await;
    let deleted = world.call(KEY_A, "DELETE", &format!("/v1/files/{id}")).await.ok();
    assert_eq!(deleted, json!({"id": id, "object": "file", "deleted": true}));
    world.get(&format!("/v1/files/{id}")).await.assert_error(404, "not_found");
    let left = world.store.list("tenants/", None, 1000).await.unwrap().keys;
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_is_kept_while_a_job_trains_on_it() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    let job = world.create_job(&file).await;
    let path = format!("/v1/files/{file}");
    world.call(KEY_A, "DELETE", &path).await.assert_error(409, "file_in_use");
    world.post(&format!("/v1/fine_tuning/jobs/{job}/cancel"), json!({})).await.ok();
    world.call(KEY_A, "DELETE", &path).await.ok();
}

#[tokio::test]
async fn bodies_over_the_limit_are_told_the_other_ways() {
    let world = World::new().await;
    let content = vec![b'a'; MAX_BODY_BYTES as usize];
    let reply = world.send(KEY_A, form_request("/v1/files", Some("a"), "file", &content, &PURPOSE)).await;
    reply.assert_error(413, "file_too_large");
    let message = reply.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("presigned") && message.contains("/v1/uploads"), "{message}");
    assert_eq!(reply.headers["x-should-retry"], "false");
}

#[tokio::test]
async fn a_body_just_below_the_limit_is_taken() {
    let world = World::new().await;
    let content = vec![b'a'; MAX_BODY_BYTES as usize - 1024];
    world.send(KEY_A, form_request("/v1/files", Some("a"), "file", &content, &PURPOSE)).await.ok();
}

#[tokio::test]
async fn wrong_forms_are_refused() {
    let world = World::new().await;
    let form = |filename, name, content: &'static [u8], fields: &[_]| {
        form_request("/v1/files", filename, name, content, fields)
    };
    let cases = [
        (form(Some("a"), "file", b"", &PURPOSE), 400, "empty_file"),
        (form(Some("a"), "data", b"x", &PURPOSE), 400, "missing_file"),
        (form(Some("a"), "file", b"x", &[]), 400, "invalid_purpose"),
        (form(Some("a"), "file", b"x", &[("purpose", "assistants")]), 400, "invalid_purpose"),
        (form(Some("../../etc/passwd"), "file", b"x", &PURPOSE), 400, "invalid_value"),
        (form(Some(".."), "file", b"x", &PURPOSE), 400, "invalid_value"),
        (
            form(Some("a"), "file", b"x", &[PURPOSE[0], ("expires_after[seconds]", "5")]),
            400,
            "unsupported_parameter",
        ),
    ];
    for (request, status, code) in cases {
        world.send(KEY_A, request).await.assert_error(status, code);
    }
    let mut torn = form(Some("a"), "file", b"x", &PURPOSE);
    *torn.body_mut() = "--edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nx".into();
    world.send(KEY_A, torn).await.assert_error(400, "invalid_form");
    let mut plain = form(Some("a"), "file", b"x", &PURPOSE);
    plain.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    world.send(KEY_A, plain).await.assert_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn wrong_tickets_are_refused_and_leave_nothing() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut body = ticket_request();
        body[name] = value;
        body
    };
    let cases = [
        (with("bytes", json!(0)), 400, "empty_file"),
        (with("bytes", json!(20 * 1024 * 1024 + 1)), 413, "file_too_large"),
        (with("bytes", json!(-1)), 400, "invalid_json"),
        (with("bytes", json!(1.5)), 400, "invalid_json"),
        (with("bytes", Value::Null), 400, "invalid_json"),
        (with("sha256", json!("abc")), 400, "invalid_value"),
        (with("purpose", json!("vision")), 400, "invalid_purpose"),
        (with("filename", json!("a/b")), 400, "invalid_value"),
        (with("filename", json!("a\u{0}b")), 400, "invalid_value"),
        (with("filename", json!("x".repeat(256))), 400, "invalid_value"),
        (with("surprise", json!(1)), 400, "invalid_json"),
        (json!([]), 400, "invalid_json"),
    ];
    for (body, status, code) in cases {
        world.post("/v1/files", body).await.assert_error(status, code);
    }
    for text in ["", "{", "{\"bytes\": 1e400}", "{\"bytes\": NaN}"] {
        world.post_text("/v1/files", text).await.assert_error(400, "invalid_json");
    }
    assert_eq!(world.store.list("tenants/", None, 10).await.unwrap().keys, Vec::<String>::new());
}

#[tokio::test]
async fn the_same_name_of_two_tenants_is_two_files() {
    let world = World::new().await;
    let id = world.upload(b"a\n").await;
    assert_eq!(world.call(KEY_B, "GET", "/v1/files").await.ok()["data"], json!([]));
    let body = json!({"model": MODEL, "training_file": id}).to_string();
    let request = crate::test_world::json_request("/v1/fine_tuning/jobs", body);
    world.send(KEY_B, request).await.assert_error(404, "not_found");
}
