use super::{KnownKeys, bearer, key_hash};
use crate::test_world::{KEY_A, World};
use axum::body::Body;
use axum::http::Request;
use jobs::Store;
use protocol::id::TenantId;
use std::time::Duration;

#[test]
fn only_bearer_keys_with_our_prefix_are_looked_up() {
    assert_eq!(bearer("Bearer dpft-abc"), Some("dpft-abc"));
    assert_eq!(bearer("bearer  dpft-abc "), Some("dpft-abc"));
    for header in ["dpft-abc", "Basic dpft-abc", "Bearer sk-abc", "Bearer ", "Bearer", "", "Bearer\tdpft-abc"]
    {
        assert_eq!(bearer(header), None, "{header:?}");
    }
    assert_eq!(bearer(&format!("Bearer dpft-{}", "x".repeat(200))), None);
}

#[test]
fn the_hash_is_plain_sha_256() {
    // printf 'dpft-abc' | sha256sum
    assert_eq!(key_hash("dpft-abc").len(), 64);
    assert_eq!(key_hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn the_cache_is_bounded_and_forgets() {
    let known = KnownKeys::default();
    let tenant = TenantId::parse("t").unwrap();
    known.put("h".into(), tenant.clone(), 10);
    assert_eq!(known.get("h", 9), Some(tenant.clone()));
    assert_eq!(known.get("h", 10), None);
    for number in 0..3 * super::MAX_CACHED_KEYS {
        known.put(number.to_string(), tenant.clone(), 10);
    }
    assert!(known.0.lock().unwrap().len() <= super::MAX_CACHED_KEYS);
}

#[tokio::test]
async fn wrong_keys_are_refused_on_every_path_and_do_not_say_why() {
    let world = World::new().await;
    let paths =
        ["/v1/files", "/v1/files/file-x", "/v1/fine_tuning/jobs", "/v1/models", "/v1/models/tiny-model"];
    let mut bodies = std::collections::BTreeSet::new();
    for path in paths {
        for key in ["", "dpft-wrong", "sk-other", "dpft-../../models/tiny-model/index"] {
            let reply = world.call(key, "GET", path).await;
            reply.assert_error(401, "invalid_api_key");
            bodies.insert(reply.body.to_string());
        }
    }
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn a_key_header_of_odd_bytes_is_refused() {
    let world = World::new().await;
    let mut request = Request::builder().uri("/v1/files").body(Body::empty()).unwrap();
    request
        .headers_mut()
        .insert("authorization", axum::http::HeaderValue::from_bytes(b"Bearer \xff").unwrap());
    world.send("", request).await.assert_error(401, "invalid_api_key");
}

#[tokio::test]
async fn a_removed_key_stops_working_when_the_cache_forgets_it() {
    let world = World::new().await;
    world.get("/v1/files").await.ok();
    world.store.delete(&protocol::keys::api_key(&key_hash(KEY_A))).await.unwrap();
    world.get("/v1/files").await.ok();
    world.clock.advance(Duration::from_secs(world.state.config.key_cache_seconds));
    world.get("/v1/files").await.assert_error(401, "invalid_api_key");
}
