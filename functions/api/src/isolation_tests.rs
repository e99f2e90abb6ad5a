//! Another tenant's objects answer exactly as objects that are not there: same status, same body but for the name asked for. On every route, for
//! the rows come from the table that the router is built from.

use crate::routes::ROUTES;
use crate::test_world::{KEY_A, KEY_B, MODEL, Reply, World, form_request, json_request};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use serde_json::json;
use std::collections::BTreeSet;

/// What a route can reach of a tenant's.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// The object that its path, or its body, names.
    File,
    Upload,
    Job,
    /// All of the caller's objects of one kind.
    List,
    /// Nothing that is there already: it makes something new, or shows what belongs to all tenants.
    Nothing,
}
use Reach::{File, Job, List, Nothing, Upload};

/// What each route of [`ROUTES`] can reach.
const REACH: [(&str, &str, Reach); 21] = [
    ("POST", "/v1/files", Nothing),
    ("GET", "/v1/files", List),
    ("GET", "/v1/files/{id}", File),
    ("DELETE", "/v1/files/{id}", File),
    ("GET", "/v1/files/{id}/content", File),
    ("GET", "/v1/files/{id}/privacy", File),
    ("GET", "/v1/privacy/key", Nothing),
    ("POST", "/v1/uploads", Nothing),
    ("POST", "/v1/uploads/{id}/parts", Upload),
    ("POST", "/v1/uploads/{id}/complete", Upload),
    ("POST", "/v1/uploads/{id}/cancel", Upload),
    ("POST", "/v1/fine_tuning/jobs", File),
    ("GET", "/v1/fine_tuning/jobs", List),
    ("GET", "/v1/fine_tuning/jobs/{id}", Job),
    ("DELETE", "/v1/fine_tuning/jobs/{id}", Job),
    ("GET", "/v1/fine_tuning/jobs/{id}/receipt", Job),
    ("GET", "/v1/fine_tuning/jobs/{id}/events", Job),
    ("GET", "/v1/fine_tuning/jobs/{id}/checkpoints", Job),
    ("POST", "/v1/fine_tuning/jobs/{id}/cancel", Job),
    ("GET", "/v1/models", Nothing),
    ("GET", "/v1/models/{id}", Nothing),
];

/// The routes that name an object of a tenant's.
fn naming() -> impl Iterator<Item = (&'static str, &'static str, Reach)> {
    REACH.into_iter().filter(|(_, _, reach)| matches!(reach, File | Upload | Job))
}

pub(crate) struct Owned {
    pub(crate) file: String,
    pub(crate) upload: String,
    pub(crate) job: String,
}

impl Owned {
    fn name(&self, reach: Reach) -> &str {
        match reach {
            Upload => &self.upload,
            Job => &self.job,
            _ => &self.file,
        }
    }
}

pub(crate) async fn objects_of_a(world: &World) -> Owned {
    let file = world.upload(b"some text\n").await;
    let body = json!({"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "fine-tune"});
    let upload = world.post("/v1/uploads", body).await.ok()["id"].as_str().unwrap().to_owned();
    let job = world.create_job(&file).await;
    Owned { file, upload, job }
}

pub(crate) fn request(method: &str, path: &str, id: &str) -> Request<Body> {
    let full = path.replace("{id}", id);
    if path.ends_with("/parts") {
        return form_request(&full, Some("blob"), "data", b"x", &[]);
    }
    let body = match path {
        "/v1/fine_tuning/jobs" => json!({"model": MODEL, "training_file": id}).to_string(),
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

/// Nothing of A's was so much as looked for since the last `forget`.
#[track_caller]
fn assert_a_is_untouched(world: &World, what: &str) {
    let touched = world.watched.touched();
    assert!(!touched.iter().any(|key| key.contains("tenant-a")), "{what}: {touched:?}");
}

#[test]
fn every_route_has_a_row_here() {
    let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    let rows: BTreeSet<_> = REACH.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(routes.len(), ROUTES.len(), "a route stands in the table twice");
    assert_eq!(routes, rows, "say here what a new route can reach, so that isolation is tested on it");
}

#[tokio::test]
async fn every_route_needs_a_key_and_reads_nothing_without_one() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let mut bodies = BTreeSet::new();
    for (method, path, reach) in REACH {
        for key in ["", "dpft-wrong", "sk-other", "dpft-../../models/tiny-model/index"] {
            world.watched.forget();
            let reply = world.send(key, request(method, path, owned.name(reach))).await;
            reply.assert_error(401, "invalid_api_key");
            bodies.insert(reply.body.to_string());
            let touched = world.watched.touched();
            assert!(touched.iter().all(|name| name.starts_with("keys/")), "{method} {path}: {touched:?}");
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn another_tenants_objects_answer_as_unknown_ones() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for (method, path, reach) in naming() {
        let theirs = owned.name(reach);
        let unknown = format!("{}-00ff00ff00ff00ff00ff00ff", theirs.split('-').next().unwrap());
        world.watched.forget();
        let foreign = world.send(KEY_B, request(method, path, theirs)).await;
        assert_a_is_untouched(&world, &format!("{method} {path}"));
        let absent = world.send(KEY_B, request(method, path, &unknown)).await;
        assert_eq!(foreign.status, 404, "{method} {path}");
        assert_eq!(without_name(&foreign, theirs), without_name(&absent, &unknown), "{method} {path}");
        if method == "GET" {
            let head = world.send(KEY_B, request("HEAD", path, theirs)).await;
            assert_eq!(head.status, 404, "HEAD {path}");
        }
    }
}

/// The matrix above proves nothing if its requests would fail for their owner, too.
#[tokio::test]
async fn the_same_requests_find_the_owners_objects() {
    for (method, path, reach) in naming() {
        let world = World::new().await;
        let owned = objects_of_a(&world).await;
        let id = owned.name(reach);
        world.watched.forget();
        let reply = world.send(KEY_A, request(method, path, id)).await;
        let message = reply.body["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.contains(id) || reply.status != 404, "{method} {path}: {}", reply.body);
        let folder = match reach {
            Upload => "uploads",
            Job => "jobs",
            _ => "files",
        };
        let found = format!("tenants/tenant-a/{folder}/{id}/");
        let touched = world.watched.touched();
        assert!(touched.iter().any(|key| key.starts_with(&found)), "{method} {path}: {touched:?}");
    }
}

/// Ways to write `id` that a careless service takes for `id`, or for a path. As they stand in a URL.
pub(crate) fn guesses(id: &str) -> Vec<String> {
    let (prefix, digits) = id.split_once('-').unwrap();
    let mut guesses: Vec<String> = [
        "",
        ".",
        "..",
        "*",
        "%00",
        "%ff%fe",
        "%2e%2e",
        "..%2F..%2Fkeys",
        "%252e%252e%252f",
        "..%5c..%5c",
        "..%c0%af..%c0%af",
        "%E2%80%AE",
        "tenant-a",
        "null",
        "-1",
        "%7B%7D",
        "%25s%25n",
        "' OR '1'='1",
    ]
    .map(|guess| guess.replace(' ', "%20"))
    .to_vec();
    for around in ["%00", "%20", "%09", "%0a", "%0d%0a", "%2f", "%2F", "%252f", "%252F", "%5c", "%EF%BB%BF"] {
        guesses.extend([format!("{id}{around}"), format!("{around}{id}")]);
    }
    for before in ["..%2f", "..%252f", "%2e%2e%2f", "../", "./", "tenant-a%2f", "tenant-a/"] {
        guesses.push(format!("{before}{id}"));
    }
    for folder in ["files", "uploads", "jobs"] {
        guesses.push(format!("..%2f..%2ftenant-a%2f{folder}%2f{id}"));
        guesses.push(format!("..%252f..%252ftenant-a%252f{folder}%252f{id}"));
        guesses.push(format!("%2ftenants%2ftenant-a%2f{folder}%2f{id}%2fmeta.json"));
    }
    for after in
        ["/", "//", "/meta.json", "%2Fmeta.json", ";tenant=tenant-a", ".json", "%3ftenant=tenant-a", "%23x"]
    {
        guesses.push(format!("{id}{after}"));
    }
    guesses.extend([
        id.to_uppercase(),
        id[..id.len() - 1].to_owned(),
        format!("{id}0"),
        format!("{prefix}-{}", "0".repeat(digits.len())),
        // The first digit in full width, an accent that combines, and a hyphen that is none.
        format!("{prefix}-%EF%BC%90{}", &digits[1..]),
        format!("{id}%CC%81"),
        format!("{prefix}%E2%80%91{digits}"),
        "x".repeat(60_000),
        format!("{id}{}", "%20".repeat(20_000)),
    ]);
    guesses
}

#[tokio::test]
async fn no_way_to_write_a_name_finds_what_is_anothers() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let paths = naming().filter(|(_, path, _)| path.contains("{id}"));
    for (method, path, reach) in paths {
        for guess in guesses(owned.name(reach)) {
            world.watched.forget();
            let reply = world.send(KEY_B, request(method, path, &guess)).await;
            let what = format!("{method} {path} {}", guess.get(..80).unwrap_or(&guess));
            assert_eq!(reply.status, 404, "{what}: {}", reply.body);
            assert!(reply.body.to_string().len() < 1000, "{what}");
            assert_a_is_untouched(&world, &what);
        }
    }
}

/// An odd spelling of one's own object is no name for it either, so that no two names lead to one object.
#[tokio::test]
async fn an_object_has_one_name() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for (method, path, reach) in naming().filter(|(_, path, _)| path.contains("{id}")) {
        for guess in guesses(owned.name(reach)) {
            let reply = world.send(KEY_A, request(method, path, &guess)).await;
            let shown = guess.get(..80).unwrap_or(&guess);
            assert_eq!(reply.status, 404, "{method} {path} {shown}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn odd_names_in_a_body_find_nothing() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    for guess in guesses(&owned.file).into_iter().filter(|guess| !guess.contains('%')) {
        world.watched.forget();
        let body = json!({"model": MODEL, "training_file": guess});
        let reply = world.send(KEY_B, json_request("/v1/fine_tuning/jobs", body.to_string())).await;
        reply.assert_error(404, "not_found");
        assert_a_is_untouched(&world, &guess);
        let model =
            json!({"model": format!("../tenants/tenant-a/files/{guess}"), "training_file": owned.file});
        let reply = world.send(KEY_B, json_request("/v1/fine_tuning/jobs", model.to_string())).await;
        reply.assert_error(404, "model_not_found");
    }
}

/// Only the key says who is calling.
#[tokio::test]
async fn no_header_and_no_query_makes_a_caller_somebody_else() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let headers = [
        "x-tenant",
        "x-tenant-id",
        "tenant",
        "openai-organization",
        "openai-project",
        "x-user",
        "x-remote-user",
        "x-forwarded-user",
        "x-original-url",
        "x-rewrite-url",
        "x-amzn-request-context",
        "x-api-key",
        "cookie",
        "x-http-method-override",
        "proxy-authorization",
    ];
    for (method, path, reach) in naming() {
        let mut dressed = request(method, path, owned.name(reach));
        for name in headers {
            let value =
                if name.contains("key") || name.contains("authorization") { KEY_A } else { "tenant-a" };
            dressed.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let query = format!("{}?tenant=tenant-a&api_key={KEY_A}&user=tenant-a", dressed.uri().path());
        *dressed.uri_mut() = query.parse().unwrap();
        world.watched.forget();
        assert_eq!(world.send(KEY_B, dressed).await.status, 404, "{method} {path}");
        assert_a_is_untouched(&world, path);
    }
    let mut twice = request("GET", "/v1/files/{id}", &owned.file);
    twice.headers_mut().insert("authorization", format!("Bearer {KEY_B}").parse().unwrap());
    twice.headers_mut().append("authorization", format!("Bearer {KEY_A}").parse().unwrap());
    assert_eq!(world.send("", twice).await.status, 404, "the first key counts, and only that");
}

#[tokio::test]
async fn lists_show_the_callers_objects_alone() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    let lists = REACH.into_iter().filter(|(_, _, reach)| *reach == List);
    for (_, path, _) in lists {
        let id = if path == "/v1/files" { &owned.file } else { &owned.job };
        assert_eq!(world.get(path).await.ok()["data"][0]["id"].as_str(), Some(id.as_str()), "{path}");
        world.watched.forget();
        assert_eq!(world.call(KEY_B, "GET", path).await.ok()["data"], json!([]), "{path}");
        let foreign = world.call(KEY_B, "GET", &format!("{path}?after={id}")).await;
        assert_a_is_untouched(&world, path);
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

async fn file_of(world: &World, key: &str, content: &[u8]) -> String {
    let form = form_request("/v1/files", Some("a"), "file", content, &[("purpose", "fine-tune")]);
    world.send(key, form).await.ok()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_idempotency_key_of_two_tenants_is_two_jobs() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for key in [KEY_A, KEY_B] {
        let file = file_of(&world, key, b"text\n").await;
        let mut create = request("POST", "/v1/fine_tuning/jobs", &file);
        create.headers_mut().insert("idempotency-key", "same".parse().unwrap());
        ids.push(world.send(key, create).await.ok()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

/// Accounts are by content: two tenants with one text must neither share a budget nor learn of each other.
#[tokio::test]
async fn one_text_of_two_tenants_has_two_accounts() {
    let world = World::with_budget(8.5).await;
    let text = b"one\ntwo\nthree\nfour\n";
    let (of_a, of_b) = (file_of(&world, KEY_A, text).await, file_of(&world, KEY_B, text).await);
    let account = async |key, file: &str| {
        let mut shown = world.call(key, "GET", &format!("/v1/files/{file}/privacy")).await.ok();
        shown.as_object_mut().unwrap().remove("id");
        shown.to_string().replace(file, "{id}")
    };
    let before = account(KEY_B, &of_b).await;
    let settings = json!({"type": "dp_lora", "dp_lora": {"epsilon": 8.0, "steps": 10, "batch_size": 2}});
    let create = |file: &str| {
        let body = json!({"model": MODEL, "training_file": file, "method": settings.clone()});
        json_request("/v1/fine_tuning/jobs", body.to_string())
    };
    world.send(KEY_A, create(&of_a)).await.ok();
    world.send(KEY_A, create(&of_a)).await.assert_error(409, "privacy_budget_exceeded");
    assert_ne!(account(KEY_A, &of_a).await, before, "the account would show it");
    assert_eq!(account(KEY_B, &of_b).await, before);
    world.send(KEY_B, create(&of_b)).await.ok();
}
