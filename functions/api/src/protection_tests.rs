use crate::test_world::{MODEL, World, json_request};
use dp::ChargeState;
use jobs::{JobStore, LedgerStore};
use protocol::id::{JobId, TenantId};
use protocol::state::JobState;
use serde_json::{Value, json};

const JOBS: &str = "/v1/fine_tuning/jobs";

fn body(file: &str, settings: Value) -> Value {
    json!({"model": MODEL, "training_file": file, "method": {"type": "dp_lora", "dp_lora": settings}})
}

fn settings() -> Value {
    json!({"epsilon": 8.0, "steps": 10, "batch_size": 2})
}

async fn state_of(world: &World, job: &str) -> JobState {
    let (tenant, job) = (TenantId::parse("tenant-a").unwrap(), JobId::parse(job).unwrap());
    JobStore::new(world.store.clone()).load(&tenant, &job).await.unwrap().value
}

async fn ledger_of(world: &World, job: &JobState) -> dp::Ledger {
    let ledgers = LedgerStore::new(world.store.clone());
    ledgers.load(&job.tenant, &job.protection.dataset).await.unwrap().unwrap()
}

/// Creates jobs until one is refused; returns how many were not, and the refusal.
async fn exhaust(world: &World, file: &str) -> (usize, String) {
    for accepted in 0..20 {
        let reply = world.post(JOBS, body(file, settings())).await;
        if !reply.status.is_success() {
            reply.assert_error(409, "privacy_budget_exceeded");
            return (accepted, reply.body["error"]["message"].as_str().unwrap().to_owned());
        }
    }
    panic!("the budget never ends");
}

#[tokio::test]
async fn a_job_is_planned_once_and_charged_before_it_exists() {
    let world = World::with_budget(20.0).await;
    let file = world.upload(b"one\ntwo\nthree\nfour\n").await;
    let job = world.post(JOBS, body(&file, settings())).await.ok();
    let state = state_of(&world, job["id"].as_str().unwrap()).await;
    let plan = &state.protection.plan;
    assert_eq!((plan.records(), plan.expected_batch_size(), plan.steps()), (4, 2, 10));
    assert!(plan.epsilon() <= 8.0 && plan.epsilon() > 7.9, "{}", plan.epsilon());
    assert!(ledger_of(&world, &state).await.covers(state.id.as_str(), plan.event()));
    assert_eq!((&job["progress"]["total_steps"], &job["progress"]["records"]), (&json!(10), &json!(4)));
}

#[tokio::test]
async fn a_job_over_budget_is_refused_with_what_is_left_and_leaves_nothing() {
    let world = World::with_budget(14.0).await;
    let file = world.upload(b"one\ntwo\nthree\nfour\n").await;
    let (accepted, message) = exhaust(&world, &file).await;
    assert!(accepted >= 1, "one job of 8 fits in 14");
    assert!(message.contains("epsilon = 14 in all"), "{message}");
    assert_eq!(world.get(JOBS).await.ok()["data"].as_array().unwrap().len(), accepted);
    let left = message.split("at most ").nth(1).and_then(|rest| rest.split(". ").next());
    let left: f64 = left.unwrap_or_else(|| panic!("{message}")).parse().unwrap();
    let fits = |epsilon: f64| json!({"epsilon": epsilon, "steps": 10, "batch_size": 2});
    world.post(JOBS, body(&file, fits(left + 0.5))).await.assert_error(409, "privacy_budget_exceeded");
    world.post(JOBS, body(&file, fits(left))).await.ok();
}

#[tokio::test]
async fn files_of_one_content_have_one_account_and_other_texts_their_own() {
    let world = World::with_budget(14.0).await;
    let text = b"one\ntwo\nthree\nfour\n";
    let (file, same) = (world.upload(text).await, world.upload(text).await);
    exhaust(&world, &file).await;
    world.post(JOBS, body(&same, settings())).await.assert_error(409, "privacy_budget_exceeded");
    let other = world.upload(b"one\ntwo\nthree\nfive\n").await;
    world.post(JOBS, body(&other, settings())).await.ok();
}

#[tokio::test]
async fn cancelling_before_anything_was_released_gives_the_budget_back() {
    let world = World::with_budget(8.5).await;
    let file = world.upload(b"one\ntwo\nthree\nfour\n").await;
    for _ in 0..3 {
        let job = world.post(JOBS, body(&file, settings())).await.ok();
        world.post(JOBS, body(&file, settings())).await.assert_error(409, "privacy_budget_exceeded");
        let path = format!("{JOBS}/{}/cancel", job["id"].as_str().unwrap());
        world.post(&path, json!({})).await.ok();
        let state = state_of(&world, job["id"].as_str().unwrap()).await;
        let charge = ledger_of(&world, &state).await.charges().last().cloned().unwrap();
        assert_eq!((charge.events, charge.state), (vec![], ChargeState::Settled));
    }
}

#[tokio::test]
async fn a_repeated_request_is_charged_once() {
    let world = World::with_budget(8.5).await;
    let file = world.upload(b"one\ntwo\nthree\nfour\n").await;
    for _ in 0..3 {
        let mut request = json_request(JOBS, body(&file, settings()).to_string());
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        world.send(crate::test_world::KEY_A, request).await.ok();
    }
}

#[tokio::test]
async fn a_target_that_cannot_be_met_is_refused_at_once() {
    let world = World::new().await;
    let file = world.upload(b"one\n").await;
    let strict = json!({"epsilon": 1e-9, "delta": 1e-12, "steps": 1_000_000});
    let reply = world.post(JOBS, body(&file, strict)).await;
    reply.assert_error(400, "invalid_hyperparameter");
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("cannot be reached"), "{}", reply.body);
    assert_eq!(world.get(JOBS).await.ok()["data"], json!([]));
}
