use super::{KnownKeys, PresentedKey, key_hash, require_key};
use crate::test_world::{KEY_A, World};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use jobs::Store;
use protocol::id::TenantId;
use std::time::Duration;
use tower::ServiceExt;

#[test]
fn only_bearer_keys_with_our_prefix_are_looked_up() {
    let looked_up = |header: &str| PresentedKey::from_header(header).map(|key| key.hash());
    assert_eq!(looked_up("Bearer dpft-abc"), Some(key_hash("dpft-abc")));
    assert_eq!(looked_up("bearer  dpft-abc "), Some(key_hash("dpft-abc")));
    for header in ["dpft-abc", "Basic dpft-abc", "Bearer sk-abc", "Bearer ", "Bearer", "", "Bearer\tdpft-abc"]
    {
        assert_eq!(looked_up(header), None, "{header:?}");
    }
    assert_eq!(looked_up(&format!("Bearer dpft-{}", "x".repeat(200))), None);
}

/// Ambiguous for a type with equality, for which both implementations match: this file would then not compile.
trait WithoutEquality<Which> {
    const HOLDS: bool = true;
}
struct Equality;
impl<T> WithoutEquality<()> for T {}
impl<T: PartialEq> WithoutEquality<Equality> for T {}

#[test]
fn a_presented_key_cannot_be_compared_with_anything() {
    const { assert!(<PresentedKey<'static> as WithoutEquality<_>>::HOLDS) };
}

/// A byte-by-byte comparison needs a key to compare with. None is ever in reach: whatever key is presented, nothing is read but the entry named
/// by its hash, and no entry holds a key.
#[tokio::test]
async fn a_key_is_looked_up_by_its_hash_and_no_other_entry_is_read() {
    let world = World::new().await;
    let near = [
        KEY_A[..KEY_A.len() - 1].to_owned(),
        format!("{}c", &KEY_A[..KEY_A.len() - 1]),
        format!("{KEY_A}x"),
        KEY_A.replacen("key", "kez", 1),
        "dpft-".to_owned(),
    ];
    for key in near {
        world.watched.forget();
        world.call(&key, "GET", "/v1/files").await.assert_error(401, "invalid_api_key");
        assert_eq!(world.watched.touched(), [protocol::keys::api_key(&key_hash(&key))], "{key}");
    }
    let stored = world.store.get(&protocol::keys::api_key(&key_hash(KEY_A))).await.unwrap();
    assert!(!String::from_utf8_lossy(&stored.bytes).contains(&KEY_A["dpft-".len()..]));
}

#[tokio::test]
async fn behind_the_door_the_key_is_gone() {
    let world = World::new().await;
    let probe = get(|headers: HeaderMap| async move { format!("{headers:?}") });
    let router = Router::new().route("/", probe);
    let router = router.route_layer(from_fn_with_state(world.state.clone(), require_key));
    let request = Request::get("/").header("authorization", format!("Bearer {KEY_A}"));
    let response =
        router.oneshot(request.header("x-other", "kept").body(Body::empty()).unwrap()).await.unwrap();
    let text = String::from_utf8(to_bytes(response.into_body(), 1000).await.unwrap().to_vec()).unwrap();
    assert!(text.contains("kept") && !text.contains("dpft-") && !text.contains("authorization"), "{text}");
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
