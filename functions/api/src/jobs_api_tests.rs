use crate::test_world::{KEY_A, MODEL, Reply, World, json_request};
use jobs::{JobStore, Store};
use protocol::api::FileMeta;
use protocol::id::{FileId, Filename, JobId, TenantId};
use protocol::state::{JobState, Progress, Report};
use protocol::transition::{Change, transition};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

const JOBS: &str = "/v1/fine_tuning/jobs";

async fn post_with_key(world: &World, key: &str, body: Value) -> Reply {
    let mut request = json_request(JOBS, body.to_string());
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    world.send(KEY_A, request).await
}

async fn state_of(world: &World, job: &str) -> JobState {
    let (tenant, job) = (TenantId::parse("tenant-a").unwrap(), JobId::parse(job).unwrap());
    JobStore::new(world.store.clone()).load(&tenant, &job).await.unwrap().value
}

async fn change(world: &World, job: &str, change: Change) {
    let state = state_of(world, job).await;
    let next = transition(&state, change, state.created_at + 5).unwrap();
    world.put_json(&protocol::keys::job_state(&state.tenant, &state.id), &next).await;
}

async fn succeed(world: &World, job: &str) {
    change(world, job, Change::Acquire { slice: 0, until: u64::MAX }).await;
    let progress = Progress { step: 7, total_steps: 7, records: 1, ..Progress::default() };
    let report = Report { progress, losses: vec![] };
    change(world, job, Change::Publish { epoch: 1 }).await;
    change(world, job, Change::Succeed { epoch: 1, result_files: vec![], report }).await;
}

#[tokio::test]
async fn a_job_is_stored_then_asked_for() {
    let world = World::new().await;
    let file = world.upload(b"one\ntwo\n").await;
    let settings = json!({"epsilon": 4.0, "steps": 10, "rank": 4});
    let body = json!({
        "model": MODEL, "training_file": file, "suffix": "mine", "metadata": {"k": "v"},
        "method": {"type": "dp_lora", "dp_lora": settings},
        "seed": null, "validation_file": null, "integrations": [], "hyperparameters": null,
    });
    let job = world.post(JOBS, body).await.ok();
    assert_eq!((job["object"].as_str(), job["status"].as_str()), (Some("fine_tuning.job"), Some("queued")));
    assert_eq!(job["method"]["dp_lora"]["epsilon"], 4.0);
    assert_eq!((&job["seed"], &job["metadata"]["k"]), (&json!(0), &json!("v")));
    let state = state_of(&world, job["id"].as_str().unwrap()).await;
    assert!(!job.to_string().contains(&serde_json::to_string(&state.noise_seed).unwrap()));
    let sent = world.queue.sent.lock().unwrap().clone();
    assert_eq!((sent.len(), sent[0].slice, &sent[0].job), (1, 0, &state.id));
    assert_eq!(world.get(&format!("{JOBS}/{}", state.id)).await.ok(), job);
}

#[tokio::test]
async fn a_repeated_request_makes_one_job() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let body = json!({"model": MODEL, "training_file": file});
    let first = post_with_key(&world, "k", body.clone()).await.ok();
    let again = post_with_key(&world, "k", body.clone()).await.ok();
    assert_eq!(first["id"], again["id"]);
    assert_ne!(first["id"], post_with_key(&world, "l", body).await.ok()["id"]);
    let other = json!({"model": MODEL, "training_file": file, "suffix": "other"});
    post_with_key(&world, "k", other).await.assert_error(409, "idempotency_key_reused");
    post_with_key(&world, &"x".repeat(300), json!({})).await.assert_error(400, "invalid_header");
}

#[tokio::test]
async fn a_job_whose_message_is_not_taken_waits_for_the_repeated_request() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let body = json!({"model": MODEL, "training_file": file});
    world.queue.broken.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        post_with_key(&world, "k", body.clone()).await.assert_error(500, "internal_error");
    }
    world.queue.broken.store(false, Ordering::Relaxed);
    let job = post_with_key(&world, "k", body.clone()).await.ok();
    assert_eq!(job["status"], "queued");
    assert_eq!(world.queue.sent.lock().unwrap().len(), 1);
    assert_eq!(world.get(JOBS).await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_that_cannot_be_asked_for_again_is_cancelled_and_costs_nothing() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    world.queue.broken.store(true, Ordering::Relaxed);
    let body = json!({"model": MODEL, "training_file": file});
    world.post(JOBS, body).await.assert_error(500, "internal_error");
    let jobs = world.get(JOBS).await.ok();
    assert_eq!(jobs["data"][0]["status"], "cancelled");
    let account = world.get(&format!("/v1/files/{file}/privacy")).await.ok();
    assert_eq!(account["epsilon_spent"], 0.0);
}

#[tokio::test]
async fn a_deleted_job_is_gone_but_for_its_receipt() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let body = json!({"model": MODEL, "training_file": file, "metadata": {"note": "private"}});
    let job = post_with_key(&world, "k", body.clone()).await.ok()["id"].as_str().unwrap().to_owned();
    let (path, receipt) = (format!("{JOBS}/{job}"), format!("{JOBS}/{job}/receipt"));
    world.get(&receipt).await.assert_error(409, "job_not_deleted");
    let first = world.call(KEY_A, "DELETE", &path).await.ok();
    assert_eq!(
        (&first["id"], &first["deleted"], &first["status"]),
        (&json!(job), &json!(true), &json!("cancelled"))
    );
    assert_eq!(world.call(KEY_A, "DELETE", &path).await.ok(), first, "twice is once");
    assert_eq!(world.get(&receipt).await.ok(), first);
    world.get(&path).await.assert_error(404, "not_found");
    assert_eq!(world.get(JOBS).await.ok()["data"], json!([]));
    post_with_key(&world, "k", body).await.assert_error(409, "idempotency_key_reused");
    let left = world.store.list(&format!("tenants/tenant-a/jobs/{job}/"), None, 10).await.unwrap().keys;
    assert_eq!(left, [format!("tenants/tenant-a/jobs/{job}/state.json")]);
    let bytes = world.store.get(&left[0]).await.unwrap().bytes;
    assert!(!String::from_utf8_lossy(&bytes).contains("private"), "nothing of what the job was about");
}

#[tokio::test]
async fn several_workers_are_refused_where_they_cannot_share_a_step() {
    let world = World::new().await;
    let file = world.upload(b"one\ntwo\nthree\nfour\n").await;
    let ask = |settings: serde_json::Value| {
        let method = json!({"type": "dp_lora", "dp_lora": settings});
        json!({"model": MODEL, "training_file": file, "method": method})
    };
    for (settings, part) in [
        (json!({"workers": 2, "steps": 10_000}), "at most 9999 steps"),
        (json!({"workers": 0}), "from 1 to 256"),
        (json!({"workers": 257}), "from 1 to 256"),
    ] {
        let reply = world.post(JOBS, ask(settings)).await;
        reply.assert_error(400, "invalid_hyperparameter");
        assert_eq!(reply.body["error"]["param"], "workers");
        assert!(reply.body["error"]["message"].as_str().unwrap().contains(part), "{}", reply.body);
    }
    let made = world.post(JOBS, ask(json!({"workers": 3, "steps": 5}))).await.ok();
    assert_eq!(made["method"]["dp_lora"]["workers"], 3);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages_and_by_notes() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let mut ids = Vec::new();
    for number in 0..4 {
        let body = json!({"model": MODEL, "training_file": file, "metadata": {"n": number.to_string()}});
        ids.insert(0, world.post(JOBS, body).await.ok()["id"].clone());
        world.clock.advance(Duration::from_secs(1));
    }
    let names = |list: Value| -> Vec<Value> {
        list["data"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect()
    };
    assert_eq!(names(world.get(JOBS).await.ok()), ids);
    let page = world.get(&format!("{JOBS}?limit=2&after={}", ids[0].as_str().unwrap())).await.ok();
    assert_eq!((page["has_more"].as_bool(), names(page)), (Some(true), ids[1..3].to_vec()));
    assert_eq!(names(world.get(&format!("{JOBS}?metadata[n]=2")).await.ok()), [ids[1].clone()]);
    world.get(&format!("{JOBS}?limit=101")).await.assert_error(400, "invalid_value");
}

#[tokio::test]
async fn events_are_newest_first_in_pages() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let job = world.create_job(&file).await;
    succeed(&world, &job).await;
    let events = world.get(&format!("{JOBS}/{job}/events")).await.ok();
    let data = events["data"].as_array().unwrap();
    assert_eq!(data.len(), 3);
    assert!(data[0]["message"].as_str().unwrap().contains("finished"));
    assert_eq!((&data[0]["type"], &data[2]["type"]), (&json!("metrics"), &json!("message")));
    let first = world.get(&format!("{JOBS}/{job}/events?limit=1")).await.ok();
    let after = first["last_id"].as_str().unwrap();
    let rest = world.get(&format!("{JOBS}/{job}/events?after={after}")).await.ok();
    assert_eq!(rest["data"].as_array().unwrap()[..], data[1..]);
}

#[tokio::test]
async fn only_the_final_adapter_is_a_checkpoint() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let job = world.create_job(&file).await;
    let path = format!("{JOBS}/{job}/checkpoints");
    assert_eq!(world.get(&path).await.ok()["data"], json!([]));
    succeed(&world, &job).await;
    let checkpoints = world.get(&path).await.ok();
    assert_eq!(
        (checkpoints["data"].as_array().unwrap().len(), &checkpoints["data"][0]["step_number"]),
        (1, &json!(7))
    );
}

#[tokio::test]
async fn a_job_can_be_cancelled_until_it_is_finished() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let job = world.create_job(&file).await;
    for _ in 0..2 {
        let reply = world.post(&format!("{JOBS}/{job}/cancel"), json!({})).await.ok();
        assert_eq!(reply["status"], "cancelled");
    }
    let job = world.create_job(&file).await;
    succeed(&world, &job).await;
    world.post(&format!("{JOBS}/{job}/cancel"), json!({})).await.assert_error(409, "job_finished");
}

#[tokio::test]
async fn results_cannot_be_trained_on() {
    let world = World::new().await;
    let id = FileId::parse("file-000000000000000000000001").unwrap();
    let tenant = TenantId::parse("tenant-a").unwrap();
    let meta = FileMeta {
        id: id.clone(),
        filename: Filename::parse("adapter_model.safetensors").unwrap(),
        bytes: 3,
        sha256: String::new(),
        purpose: "fine-tune-results".into(),
        created_at: 0,
        content_key: "tenants/tenant-a/jobs/x/adapter-1/a".into(),
    };
    world.put_json(&protocol::keys::file_meta(&tenant, &id), &meta).await;
    let body = json!({"model": MODEL, "training_file": id.as_str()});
    world.post(JOBS, body).await.assert_error(400, "invalid_purpose");
    world.store.put(&meta.content_key, "abc".into(), jobs::PutCondition::Always).await.unwrap();
    assert_eq!(world.get(&format!("/v1/files/{id}")).await.ok()["status"], "processed");
}
