use super::*;
use jobs::MemoryStore;

#[tokio::test]
async fn the_first_worker_makes_the_key_and_all_others_find_it() {
    let store = MemoryStore::new();
    let first = load_or_create(&store, [1; 32]).await.unwrap();
    let second = load_or_create(&store, [2; 32]).await.unwrap();
    assert_eq!(first.public_key(), second.public_key());
    assert_eq!(first.public_key(), CertificateKey::from_bytes([1; 32]).public_key());
    let published = store.get(keys::VERIFYING_KEY).await.unwrap().bytes;
    assert_eq!(published, Bytes::from(first.public_key()));
}

#[tokio::test]
async fn of_two_that_make_one_at_once_both_keep_the_same() {
    let store = MemoryStore::new();
    let stored = CertificateKey::from_bytes([1; 32]);
    let text = Bytes::copy_from_slice(stored.to_hex().as_bytes());
    store.put(keys::SIGNING_KEY, text, PutCondition::Always).await.unwrap();
    assert_eq!(create(&store, [2; 32]).await.unwrap().public_key(), stored.public_key());
}

#[tokio::test]
async fn a_damaged_key_is_never_replaced() {
    let store = MemoryStore::new();
    store.put(keys::SIGNING_KEY, Bytes::from_static(b"x"), PutCondition::Always).await.unwrap();
    assert_eq!(load_or_create(&store, [2; 32]).await.err(), Some(SigningError::Damaged));
    assert_eq!(store.get(keys::SIGNING_KEY).await.unwrap().bytes, Bytes::from_static(b"x"));
}
