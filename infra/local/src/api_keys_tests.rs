use super::create_api_key;
use api_function::{OsEntropy, key_hash};
use jobs::{ManualClock, MemoryStore, Store};
use protocol::api::ApiKeyEntry;
use protocol::id::TenantId;

#[tokio::test]
async fn a_key_is_stored_by_its_hash_alone() {
    let store = MemoryStore::new();
    let tenant = TenantId::parse("tenant-a").unwrap();
    let key = create_api_key(&store, &tenant, &OsEntropy, &ManualClock::new(5)).await.unwrap();
    assert!(key.starts_with("dpft-") && key.len() == 5 + 48);
    let stored = store.get(&protocol::keys::api_key(&key_hash(&key))).await.unwrap();
    let entry: ApiKeyEntry = serde_json::from_slice(&stored.bytes).unwrap();
    assert_eq!((entry.tenant, entry.created_at), (tenant.clone(), 5));
    assert!(!String::from_utf8(stored.bytes.to_vec()).unwrap().contains(&key[5..]));
    assert_ne!(key, create_api_key(&store, &tenant, &OsEntropy, &ManualClock::new(5)).await.unwrap());
}
