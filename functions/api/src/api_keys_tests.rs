use super::*;
use crate::OsEntropy;
use crate::test_world::{KEY_A, KEY_B, World};
use jobs::{ManualClock, MemoryStore};

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

async fn create(store: &dyn Store, name: &str, valid_for: Option<u64>, now: u64) -> String {
    let valid_for = valid_for.map(Duration::from_secs);
    create_api_key(store, &tenant(name), valid_for, &OsEntropy, &ManualClock::new(now)).await.unwrap()
}

/// The status of a request with `key`.
async fn status(world: &World, key: &str) -> u16 {
    world.call(key, "GET", "/v1/files").await.status.as_u16()
}

#[tokio::test]
async fn a_key_is_stored_by_its_hash_alone() {
    let store = MemoryStore::new();
    let key = create(&store, "tenant-a", None, 5).await;
    assert!(key.starts_with(KEY_PREFIX) && key.len() == KEY_PREFIX.len() + 48);
    let stored = store.get(&keys::api_key(&key_hash(&key))).await.unwrap();
    assert_eq!(&stored.bytes[..], br#"{"tenant":"tenant-a","created_at":5}"#);
    assert_ne!(key, create(&store, "tenant-a", None, 5).await);
}

#[tokio::test]
async fn an_entry_from_before_expiry_and_revocation_still_opens_the_api() {
    let world = World::new().await;
    let old = serde_json::json!({"tenant": "tenant-c", "created_at": 1});
    world.put_json(&keys::api_key(&key_hash("dpft-old")), &old).await;
    assert_eq!(status(&world, "dpft-old").await, 200);
}

#[tokio::test]
async fn a_new_key_works_before_the_old_one_ends() {
    let world = World::new().await;
    let file = world.upload(b"a\n").await;
    let new = create(&*world.store, "tenant-a", None, world.clock.now()).await;
    assert_eq!((status(&world, KEY_A).await, status(&world, &new).await), (200, 200));
    revoke_api_key(&*world.store, &key_hash(KEY_A), &*world.clock).await.unwrap();
    world.clock.advance(Duration::from_secs(world.state.config.key_cache_seconds));
    assert_eq!((status(&world, KEY_A).await, status(&world, &new).await), (401, 200));
    // The tenant's objects belong to the tenant, not to a key.
    assert_eq!(world.call(&new, "GET", &format!("/v1/files/{file}")).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_works_no_longer_than_the_cache_remembers_it() {
    let world = World::new().await;
    let cache = world.state.config.key_cache_seconds;
    assert_eq!(status(&world, KEY_A).await, 200);
    revoke_api_key(&*world.store, &key_hash(KEY_A), &*world.clock).await.unwrap();
    world.clock.advance(Duration::from_secs(cache - 1));
    assert_eq!(status(&world, KEY_A).await, 200, "the last second of the cache");
    world.clock.advance(Duration::from_secs(1));
    world.call(KEY_A, "GET", "/v1/files").await.assert_error(401, "invalid_api_key");
}

#[tokio::test]
async fn a_revoked_key_that_no_cache_knows_is_refused_at_once() {
    let world = World::new().await;
    revoke_api_key(&*world.store, &key_hash(KEY_A), &*world.clock).await.unwrap();
    assert_eq!((status(&world, KEY_A).await, status(&world, KEY_B).await), (401, 200));
}

#[tokio::test]
async fn a_revocation_by_a_clock_that_is_ahead_counts_now() {
    let world = World::new().await;
    let ahead = ManualClock::new(world.clock.now() + 3600);
    revoke_api_key(&*world.store, &key_hash(KEY_A), &ahead).await.unwrap();
    assert_eq!(status(&world, KEY_A).await, 401);
}

#[tokio::test]
async fn a_key_expires_to_the_second_though_it_is_cached() {
    let world = World::new().await;
    let valid = world.state.config.key_cache_seconds / 2;
    let key = create(&*world.store, "tenant-a", Some(valid), world.clock.now()).await;
    assert_eq!(status(&world, &key).await, 200);
    world.clock.advance(Duration::from_secs(valid - 1));
    assert_eq!(status(&world, &key).await, 200, "the last second");
    world.clock.advance(Duration::from_secs(1));
    world.call(&key, "GET", "/v1/files").await.assert_error(401, "invalid_api_key");
}

#[tokio::test]
async fn a_refused_key_never_says_why() {
    let world = World::new().await;
    let expired = create(&*world.store, "tenant-a", Some(0), world.clock.now()).await;
    revoke_api_key(&*world.store, &key_hash(KEY_A), &*world.clock).await.unwrap();
    let mut bodies = std::collections::BTreeSet::new();
    for key in [KEY_A, &expired, "dpft-unknown"] {
        let reply = world.call(key, "GET", "/v1/files").await;
        reply.assert_error(401, "invalid_api_key");
        bodies.insert(reply.body.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn a_list_names_keys_by_the_beginning_of_their_hash() {
    let store = MemoryStore::new();
    let later = create(&store, "b", None, 9).await;
    let (first, second) = (create(&store, "a", Some(50), 1).await, create(&store, "a", None, 2).await);
    let info = revoke_api_key(&store, &key_hash(&second)[..SHOWN_DIGITS], &ManualClock::new(7)).await;
    assert_eq!(info.unwrap().entry.revoked_at, Some(7));
    let listed = list_api_keys(&store).await.unwrap();
    let row = |key: &ApiKeyInfo| {
        let ApiKeyEntry { tenant, created_at, expires_at, revoked_at } = key.entry.clone();
        (key.shown().to_owned(), tenant.to_string(), created_at, expires_at, revoked_at)
    };
    let shown = |key: &str| key_hash(key)[..12].to_owned();
    assert_eq!(
        listed.iter().map(row).collect::<Vec<_>>(),
        [
            (shown(&first), "a".into(), 1, Some(51), None),
            (shown(&second), "a".into(), 2, None, Some(7)),
            (shown(&later), "b".into(), 9, None, None),
        ]
    );
    let text = format!("{listed:?}");
    for key in [first, second, later] {
        assert!(!text.contains(&key[KEY_PREFIX.len()..]));
    }
}

#[tokio::test]
async fn a_list_of_many_keys_is_whole() {
    let store = MemoryStore::new();
    for number in 0..1001 {
        let entry = ApiKeyEntry::new(tenant("a"), number);
        write(&store, &key_hash(&number.to_string()), &entry, PutCondition::IfAbsent).await.unwrap();
    }
    let listed = list_api_keys(&store).await.unwrap();
    assert!(listed.iter().map(|key| key.entry.created_at).eq(0..1001));
}

#[tokio::test]
async fn revoking_needs_a_name_that_leads_to_one_key() {
    let store = MemoryStore::new();
    let key = create(&store, "a", None, 1).await;
    let hash = key_hash(&key);
    let clock = ManualClock::new(2);
    let twin = format!("{}{}", &hash[..SHOWN_DIGITS], "0".repeat(52));
    let unknown = if hash.starts_with('0') { "1".repeat(12) } else { "0".repeat(12) };
    for name in ["", &hash[..SHOWN_DIGITS - 1], key.as_str(), unknown.as_str(), "../../models"] {
        let error = revoke_api_key(&store, name, &clock).await.unwrap_err();
        assert!(matches!(error, ApiKeyError::NotOne { found: 0, .. }), "{error}");
        assert!(!error.to_string().contains(&key), "a key given by mistake is not repeated");
    }
    write(&store, &twin, &ApiKeyEntry::new(tenant("b"), 1), PutCondition::IfAbsent).await.unwrap();
    let error = revoke_api_key(&store, &hash[..SHOWN_DIGITS], &clock).await.unwrap_err();
    assert!(matches!(error, ApiKeyError::NotOne { found: 2, .. }), "{error}");
    assert!(list_api_keys(&store).await.unwrap().iter().all(|key| key.entry.revoked_at.is_none()));
    revoke_api_key(&store, &hash.to_uppercase(), &clock).await.unwrap();
}

#[tokio::test]
async fn revoking_twice_keeps_the_first_time() {
    let store = MemoryStore::new();
    let hash = key_hash(&create(&store, "a", None, 1).await);
    for now in [5, 6] {
        let info = revoke_api_key(&store, &hash, &ManualClock::new(now)).await.unwrap();
        assert_eq!(info.entry.revoked_at, Some(5));
    }
}

#[tokio::test]
async fn registering_a_key_again_never_brings_it_back() {
    let store = MemoryStore::new();
    let clock = ManualClock::new(1);
    let owner = tenant("local");
    assert!(register_api_key(&store, &owner, "dpft-kept", &clock).await.unwrap());
    assert!(register_api_key(&store, &owner, "dpft-kept", &clock).await.unwrap());
    assert!(!register_api_key(&store, &tenant("other"), "dpft-kept", &clock).await.unwrap(), "not theirs");
    revoke_api_key(&store, &key_hash("dpft-kept"), &clock).await.unwrap();
    assert!(!register_api_key(&store, &owner, "dpft-kept", &clock).await.unwrap());
    assert_eq!(list_api_keys(&store).await.unwrap()[0].entry.revoked_at, Some(1));
}

#[tokio::test]
async fn a_damaged_entry_is_named_and_opens_nothing() {
    let world = World::new().await;
    let object = keys::api_key(&key_hash("dpft-damaged"));
    world.put_json(&object, &serde_json::json!({"tenant": "../tenant-a", "created_at": 1})).await;
    assert_eq!(status(&world, "dpft-damaged").await, 500);
    assert_eq!(list_api_keys(&*world.store).await.unwrap_err(), ApiKeyError::Damaged { object });
}
