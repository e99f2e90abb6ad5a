use crate::test_world::World;
use bytes::Bytes;
use jobs::{PutCondition, Store};
use serde_json::json;

#[tokio::test]
async fn a_files_account_says_what_was_spent_and_by_whom() {
    let world = World::with_budget(20.0).await;
    let file = world.upload(b"one\ntwo\n").await;
    let path = format!("/v1/files/{file}/privacy");
    let before = world.get(&path).await.ok();
    assert_eq!((&before["budget_epsilon"], &before["epsilon_spent"]), (&json!(20.0), &json!(0.0)));
    assert_eq!((&before["delta"], &before["charges"]), (&json!(null), &json!([])));
    let job = world.create_job(&file).await;
    let after = world.get(&path).await.ok();
    let spent = after["epsilon_spent"].as_f64().unwrap();
    assert!(spent > 7.9 && spent <= 8.0, "{after}");
    assert_eq!(
        (&after["charges"][0]["id"], &after["charges"][0]["state"]),
        (&json!(job), &json!("reserved"))
    );
    assert_eq!(after["delta"], 1e-5);
}

#[tokio::test]
async fn the_public_key_is_shown_once_there_is_one() {
    let world = World::new().await;
    world.get("/v1/privacy/key").await.assert_error(404, "not_found");
    let digits = "ab".repeat(32);
    let key = protocol::keys::VERIFYING_KEY;
    world.store.put(key, Bytes::from(digits.clone()), PutCondition::Always).await.unwrap();
    let shown = world.get("/v1/privacy/key").await.ok();
    assert_eq!((&shown["algorithm"], &shown["public_key"]), (&json!("Ed25519"), &json!(digits)));
}
