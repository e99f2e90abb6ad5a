//! Another tenant's objects answer exactly as objects that are not there: same status, same body but for the name asked for.

use crate::test_world::{KEY_A, KEY_B, Reply, World, form_request, json_request};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;

/// Every endpoint that names an object: method, path with `{id}`, and the kind of object.
const ENDPOINTS: [(&str, &str, Kind); 13] = [
    ("GET", "/v1/files/{id}", Kind::File),
    ("GET", "/v1/files/{id}/content", Kind::File),
    ("GET", "/v1/files/{id}/privacy", Kind::File),
    ("DELETE", "/v1/files/{id}", Kind::File),
    ("POST", "/v1/uploads/{id}/parts", Kind::Upload),
    ("POST", "/v1/uploads/{id}/complete", Kind::Upload),
    ("POST", "/v1/uploads/{id}/cancel", Kind::Upload),
    ("GET", "/v1/fine_tuning/jobs/{id}", Kind::Job),
    ("GET", "/v1/fine_tuning/jobs/{id}/events", Kind::Job),
    ("GET", "/v1/fine_tuning/jobs/{id}/checkpoints", Kind::Job),
    ("POST", "/v1/fine_tuning/jobs/{id}/cancel", Kind::Job),
    ("POST", "/v1/fine_tuning/jobs", Kind::File),
    // Last: the owner's own request does it.
    ("DELETE", "/v1/fine_tuning/jobs/{id}", Kind::Job),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Upload,
    Job,
}

struct Owned {
    file: String,
    upload: String,
    job: String,
}

async fn objects_of_a(world: &World) -> Owned {
    let file = world.upload(b"some text\n").await;
    let body = json!({"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"});
    let upload = world.post("/v1/uploads", body).await.ok()["id"].as_str().unwrap().to_owned();
    let job = world.create_job(&file).await;
    Owned { file, upload, job }
}

fn request(method: &str, path: &str, id: &str) -> Request<Body> {
    let full = path.replace("{id}", id);
    if path.ends_with("/parts") {
        return form_request(&full, Some("blob"), "data", b"x", &[]);
    }
    let body = match path {
        "/v1/fine_tuning/jobs" => json!({"model": crate::test_world::MODEL, "training_file": id}).to_string(),
        _ if path.ends_with("/complete") => {
            json!({"part_ids": ["part-000000000000000000000000"]}).to_string()
        }
        _ => String::new(),
    };
    let mut request = json_request(&full, body);
    *request.method_mut() = method.parse().unwrap();
    request
}

fn without_name(reply: &Reply, id: &str) -> (u16, String) {
    (reply.status.as_u16(), reply.body.to_string().replace(id, "{id}"))
}

#[tokio::test]
async fn another_tenants_objects_answer_as_unknown_ones() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for (method, path, kind) in ENDPOINTS {
        let (theirs, unknown) = match kind {
            Kind::File => (&owned.file, "file-00ff00ff00ff00ff00ff00ff"),
            Kind::Upload => (&owned.upload, "upload-00ff00ff00ff00ff00ff00ff"),
            Kind::Job => (&owned.job, "ftjob-00ff00ff00ff00ff00ff00ff"),
        };
        let foreign = world.send(KEY_B, request(method, path, theirs)).await;
        let absent = world.send(KEY_B, request(method, path, unknown)).await;
        assert_eq!(foreign.status, 404, "{method} {path}");
        assert_eq!(without_name(&foreign, theirs), without_name(&absent, unknown), "{method} {path}");
    }
}

/// The matrix above proves nothing if its requests would fail for their owner, too.
#[tokio::test]
async fn the_same_requests_find_the_owners_objects() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for (method, path, kind) in ENDPOINTS {
        let id = match kind {
            Kind::File => &owned.file,
            Kind::Upload => &owned.upload,
            Kind::Job => &owned.job,
        };
        let reply = world.send(KEY_A, request(method, path, id)).await;
        let message = reply.body["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.contains(id.as_str()) || reply.status != 404, "{method} {path}: {}", reply.body);
    }
}

#[tokio::test]
async fn lists_show_the_callers_objects_alone() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for (path, id) in [("/v1/files", &owned.file), ("/v1/fine_tuning/jobs", &owned.job)] {
        assert_eq!(world.call(KEY_B, "GET", path).await.ok()["data"], json!([]), "{path}");
        assert_eq!(world.get(path).await.ok()["data"][0]["id"].as_str(), Some(id.as_str()), "{path}");
        let foreign = world.call(KEY_B, "GET", &format!("{path}?after={id}")).await;
        let absent = world.call(KEY_B, "GET", &format!("{path}?after=nothing")).await;
        assert_eq!((foreign.status, foreign.body), (absent.status, absent.body));
    }
}

#[tokio::test]
async fn parts_of_another_tenants_upload_cannot_be_used() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let path = format!("/v1/uploads/{}/parts", owned.upload);
    let part = world.send(KEY_A, form_request(&path, Some("blob"), "data", b"x", &[])).await.ok();
    let body =
        json!({"filename": "b", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"}).to_string();
    let upload = world.send(KEY_B, json_request("/v1/uploads", body)).await.ok();
    let complete = format!("/v1/uploads/{}/complete", upload["id"].as_str().unwrap());
    let body = json!({"part_ids": [part["id"]]}).to_string();
    world.send(KEY_B, json_request(&complete, body)).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn one_idempotency_key_of_two_tenants_is_two_jobs() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for key in [KEY_A, KEY_B] {
        let form = form_request("/v1/files", Some("a"), "file", b"text\n", &[("purpose", "fine-tune")]);
        let file = world.send(key, form).await.ok()["id"].as_str().unwrap().to_owned();
        let mut create = request("POST", "/v1/fine_tuning/jobs", &file);
        create.headers_mut().insert("idempotency-key", "same".parse().unwrap());
        ids.push(world.send(key, create).await.ok()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}
