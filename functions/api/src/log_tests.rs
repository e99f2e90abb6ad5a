//! Nothing that is a tenant's own, and no secret, reaches the log or an error's message: every route is driven with marked secrets, by their owner,
//! by a stranger and over a store that fails, and all that was logged is searched for the marks in every spelling.

use crate::LOG_FILTER;
use crate::isolation_tests::{Owned, objects_of_a, request};
use crate::routes::ROUTES;
use crate::test_store::SIGNATURE;
use crate::test_world::{KEY_A, KEY_B, MODEL, World, form_request, json_request};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;
use std::cell::RefCell;
use std::io::{Result as IoResult, Write};
use std::sync::Once;
use tracing_subscriber::EnvFilter;

const UNKNOWN_KEY: &str = "dpft-zq-unknown-key-zq";
const CONTENT: &str = "zq words of a diary zq";
const FILENAME: &str = "zq-name-of-a-file-zq";
const NOTE: &str = "zq note on a job zq";
const NOTE_NAME: &str = "zq-name-of-a-note-zq";
const SUFFIX: &str = "zq-suffix-zq";
const IDEMPOTENCY: &str = "zq-idempotency-key-zq";
const VALUE: &str = "zq value of no type zq";
const HEADER: &str = "zq-header-zq";
const QUERY: &str = "zq-query-zq";

const MARKS: [&str; 13] = [
    KEY_A,
    KEY_B,
    UNKNOWN_KEY,
    CONTENT,
    FILENAME,
    NOTE,
    NOTE_NAME,
    SUFFIX,
    IDEMPOTENCY,
    VALUE,
    HEADER,
    QUERY,
    SIGNATURE,
];

thread_local! {
    /// What this test's thread has logged.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        LOGGED.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

/// Starts this thread's log anew: our crates say all they can, the others what they may in production.
fn start_logging() {
    // For the whole process: a subscriber of one thread would miss lines that other tests' threads reach first.
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = "api_function=trace,jobs=trace,protocol=trace,dp=trace,perturb=trace";
        let filter = EnvFilter::new(format!("{LOG_FILTER},{ours}"));
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(|| ThreadLog).init();
    });
    LOGGED.with_borrow_mut(Vec::clear);
}

fn logged() -> String {
    LOGGED.with_borrow(|log| String::from_utf8_lossy(log).into_owned())
}

/// The ways in which `mark` could have been written. Base64 depends on where in a group of three the mark begins; its ends, which depend on the
/// neighbours, are cut off.
fn spellings(mark: &str) -> Vec<String> {
    let hex = hex::encode(mark);
    let percent = |keep: fn(u8) -> bool| -> String {
        let spell = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        mark.bytes().map(spell).collect()
    };
    let bytes: Vec<String> = mark.bytes().map(|byte| byte.to_string()).collect();
    let mut spellings = vec![
        mark.to_owned(),
        mark.replace(' ', "+"),
        percent(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        percent(|_| false),
        hex.clone(),
        bytes.join(", "),
        bytes.join(","),
    ];
    for offset in 0..3 {
        let padded = [&b"\0\0"[..offset], mark.as_bytes()].concat();
        let whole = padded.len() / 3 * 4;
        let start = if offset == 0 { 0 } else { 4 };
        spellings
            .extend([&STANDARD, &URL_SAFE].map(|engine| engine.encode(&padded)[start..whole].to_owned()));
    }
    spellings.into_iter().map(|spelling| spelling.to_lowercase()).collect()
}

/// The marks that stand in `text`, in any spelling and any case.
fn found(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    MARKS.into_iter().filter(|mark| spellings(mark).iter().any(|spelling| text.contains(spelling))).collect()
}

/// `request` with marks wherever a route does not need something else.
fn marked(mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    headers.insert("idempotency-key", IDEMPOTENCY.parse().unwrap());
    headers.insert("x-custom", HEADER.parse().unwrap());
    headers.insert("cookie", HEADER.parse().unwrap());
    headers.insert("user-agent", HEADER.parse().unwrap());
    let path = request.uri().path().to_owned();
    *request.uri_mut() = format!("{path}?note={QUERY}&metadata[{NOTE_NAME}]={QUERY}").parse().unwrap();
    request
}

fn job(file: &str) -> String {
    json!({
        "model": MODEL, "training_file": file, "suffix": SUFFIX, "metadata": {(NOTE_NAME): NOTE},
        "method": {"type": "dp_lora", "dp_lora": {"epsilon": 8.0, "steps": 10, "batch_size": 2}},
    })
    .to_string()
}

/// Requests that succeed and carry every kind of text a tenant has.
async fn successes(world: &World) -> Owned {
    let purpose = [("purpose", "fine-tune")];
    let content = format!("{CONTENT}\nsecond line\nthird line\n");
    let form = form_request("/v1/files", Some(FILENAME), "file", content.as_bytes(), &purpose);
    let file = world.send(KEY_A, marked(form)).await.ok()["id"].as_str().unwrap().to_owned();
    let job = world.send(KEY_A, marked(json_request("/v1/fine_tuning/jobs", job(&file)))).await.ok();
    let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    let ticket = json!({"filename": FILENAME, "bytes": 11, "sha256": sha256, "purpose": "fine-tune"});
    let ticket = world.send(KEY_A, marked(json_request("/v1/files", ticket.to_string()))).await.ok();
    assert!(ticket["upload"]["url"].as_str().unwrap().contains(SIGNATURE));
    let text = json!({"filename": FILENAME, "bytes": 22, "mime_type": "text/plain", "purpose": "fine-tune"});
    let upload = world.send(KEY_A, marked(json_request("/v1/uploads", text.to_string()))).await.ok();
    let upload = upload["id"].as_str().unwrap().to_owned();
    let part =
        form_request(&format!("/v1/uploads/{upload}/parts"), Some(FILENAME), "data", CONTENT.as_bytes(), &[]);
    world.send(KEY_A, marked(part)).await.ok();
    Owned { file, upload, job: job["id"].as_str().unwrap().to_owned() }
}

/// Bodies that every route refuses, marked where the reader will stumble.
fn wrong_bodies(file: &str) -> Vec<String> {
    let with = |name: &str, value: serde_json::Value| {
        let mut body = json!({"model": MODEL, "training_file": file});
        body[name] = value;
        body.to_string()
    };
    let setting = |name: &str| with("method", json!({"type": "dp_lora", "dp_lora": {name: VALUE}}));
    let mut bodies = vec![
        format!("{{\"filename\": \"{FILENAME}\", \"bytes\": \"{VALUE}\"}}"),
        format!("{{\"filename\": {{\"{VALUE}\": 1}}}}"),
        format!("{{\"part_ids\": [\"{VALUE}\"]}}"),
        format!("{{\"part_ids\": \"{VALUE}\"}}"),
        format!(
            "{{\"purpose\": \"{VALUE}\", \"filename\": \"{FILENAME}\", \"bytes\": 1, \"sha256\": \"{VALUE}\"}}"
        ),
        format!("{{\"{VALUE}"),
        format!("\"{VALUE}\""),
        format!("{VALUE} {{"),
        with("suffix", json!(format!("{VALUE} {SUFFIX}"))),
        with("metadata", json!(NOTE)),
        with("metadata", json!({(NOTE_NAME): {"a": NOTE}})),
        with("metadata", json!({(NOTE_NAME): NOTE.repeat(100)})),
        with("method", json!(VALUE)),
        with("method", json!({"type": VALUE})),
        with("seed", json!(VALUE)),
        with("hyperparameters", json!({"n_epochs": VALUE})),
        job(&format!("{file}0")),
    ];
    for name in
        ["epsilon", "steps", "rank", "clipping", "privacy_unit", "target_modules", "accountant", "loss_curve"]
    {
        bodies.push(setting(name));
    }
    bodies
}

/// Sends a marked request and searches the answer if it is an error.
async fn drive(world: &World, key: &str, request: Request<Body>, what: &str) {
    let reply = world.send(key, marked(request)).await;
    if !reply.status.is_success() && !reply.status.is_redirection() {
        let body = reply.body.to_string();
        assert_eq!(found(&body), Vec::<&str>::new(), "{what} answers {body}");
    }
}

async fn every_route(world: &World, owned: &Owned, bodies: &[String]) {
    for route in ROUTES {
        let id = match route.path.split('/').nth(2) {
            Some("uploads") => &owned.upload,
            Some("fine_tuning") => &owned.job,
            _ => &owned.file,
        };
        let what = format!("{} {}", route.method, route.path);
        for key in [KEY_A, KEY_B, UNKNOWN_KEY] {
            // A file that was deleted would hide what its other routes do.
            if route.method != "DELETE" || key != KEY_A {
                drive(world, key, request(route.method, route.path, id), &what).await;
            }
            for body in bodies.iter().filter(|_| route.method == "POST") {
                drive(world, key, json_request(&route.path.replace("{id}", id), body.clone()), &what).await;
            }
        }
        let torn = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"{VALUE}\"; filename=\"{FILENAME}\"\r\n\r\n{CONTENT}"
        );
        let mut form =
            form_request(&route.path.replace("{id}", id), Some(FILENAME), VALUE, CONTENT.as_bytes(), &[]);
        *form.method_mut() = route.method.parse().unwrap();
        *form.body_mut() = torn.into();
        if route.method != "DELETE" {
            drive(world, KEY_A, form, &what).await;
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_text_of_a_tenant_is_logged_or_told() {
    start_logging();
    let world = World::new().await;
    let owned = successes(&world).await;
    let bodies = wrong_bodies(&owned.file);
    every_route(&world, &owned, &bodies).await;
    world.watched.break_down(true);
    every_route(&world, &owned, &bodies).await;
    world.watched.break_down(false);
    let log = logged();
    for route in ROUTES {
        assert!(
            log.contains(&format!("\"route\":\"{}\"", route.path)),
            "nothing is logged of {}",
            route.path
        );
    }
    assert!(log.contains("the object store failed a request"), "the failures are logged, too");
    assert_eq!(found(&log), Vec::<&str>::new());
}

/// Objects' names would tell who looks at what.
#[tokio::test]
async fn the_log_of_what_succeeds_names_no_object() {
    let world = World::new().await;
    let owned = objects_of_a(&world).await;
    start_logging();
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        for id in [&owned.file, &owned.job, &owned.upload] {
            world.send(KEY_A, request(route.method, route.path, id)).await;
        }
    }
    let log = logged();
    assert!(log.contains("\"status\":200"), "{log}");
    for name in [&owned.file, &owned.job, &owned.upload, "tenant-a"] {
        assert!(!log.contains(name), "{name}");
    }
}

/// The control: a mark that is logged is found, however it is spelt and by whichever crate of ours.
#[test]
fn the_search_finds_a_planted_mark_in_every_spelling() {
    for (number, mark) in MARKS.into_iter().enumerate() {
        let offset = "xyz"[..number % 3].to_owned();
        let planted = [
            format!("a {mark} b"),
            mark.to_uppercase(),
            hex::encode(format!("{offset}{mark}!")),
            STANDARD.encode(format!("{offset}{mark} and more")),
            URL_SAFE.encode(format!("{offset}{mark} and more")),
            mark.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            format!("{:?}", mark.as_bytes()),
            json!({"a": mark}).to_string(),
        ];
        for text in planted {
            start_logging();
            tracing::trace!(text, "planted");
            // Two keys that differ in their last letter alone can look alike in base64.
            assert!(found(&logged()).contains(&mark), "{text}");
        }
    }
    start_logging();
    tracing::info!("nothing to see");
    assert!(logged().contains("nothing to see") && found(&logged()).is_empty());
}
