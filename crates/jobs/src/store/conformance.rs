//! What every [`Store`] must do, as checks that any implementation can be put through.
//!
//! All keys lie under the given prefix, which must be empty at the start; the suite removes what it wrote.

use super::{PutCondition, Store, StoreError};
use bytes::Bytes;
use std::sync::Arc;

/// Puts `store` through the whole contract, with keys under `prefix`.
///
/// # Panics
/// When a check fails; the message says which.
pub async fn run(store: Arc<dyn Store>, prefix: &str) {
    reads_what_was_written(&*store, prefix).await;
    missing_objects_are_told_apart(&*store, prefix).await;
    conditions_are_kept(&*store, prefix).await;
    of_racing_creations_one_wins(&store, prefix).await;
    of_racing_replacements_one_wins(&store, prefix).await;
    listings_are_sorted_and_paged(&*store, prefix).await;
    empty_and_large_objects_pass(&*store, prefix).await;
}

const FIRST: Bytes = Bytes::from_static(b"first");
const SECOND: Bytes = Bytes::from_static(b"second");

async fn reads_what_was_written(store: &dyn Store, prefix: &str) {
    let key = format!("{prefix}plain");
    let first = store.put(&key, FIRST, PutCondition::Always).await.expect("a put");
    let object = store.get(&key).await.expect("a get");
    assert_eq!((&object.bytes, &object.etag), (&FIRST, &first), "a get shows what the put wrote");
    let second = store.put(&key, SECOND, PutCondition::Always).await.expect("an overwriting put");
    assert_ne!(first, second, "another content has another entity tag");
    let meta = store.head(&key).await.expect("a head");
    assert_eq!((meta.bytes, meta.etag), (6, second), "a head shows size and tag of the latest put");
    store.delete(&key).await.expect("a delete");
}

async fn missing_objects_are_told_apart(store: &dyn Store, prefix: &str) {
    let key = format!("{prefix}missing");
    let missing = StoreError::NotFound { key: key.clone() };
    assert_eq!(store.get(&key).await.expect_err("a get of nothing"), missing);
    assert_eq!(store.head(&key).await.expect_err("a head of nothing"), missing);
    store.delete(&key).await.expect("deleting what is not there is fine");
}

async fn conditions_are_kept(store: &dyn Store, prefix: &str) {
    let key = format!("{prefix}condition");
    let refused = Err(StoreError::PreconditionFailed);
    let match_nothing = PutCondition::IfMatch("\"0123456789abcdef0123456789abcdef\"".into());
    assert_eq!(store.put(&key, FIRST, match_nothing.clone()).await, refused, "If-Match on nothing");
    let first = store.put(&key, FIRST, PutCondition::IfAbsent).await.expect("If-None-Match on nothing");
    assert_eq!(store.put(&key, SECOND, PutCondition::IfAbsent).await, refused, "If-None-Match on something");
    assert_eq!(store.put(&key, SECOND, match_nothing).await, refused, "If-Match with another tag");
    assert_eq!(store.get(&key).await.expect("a get").bytes, FIRST, "a refused put writes nothing");
    let replace = PutCondition::IfMatch(first.clone());
    store.put(&key, SECOND, replace.clone()).await.expect("If-Match with the right tag");
    assert_eq!(store.put(&key, FIRST, replace).await, refused, "If-Match with an old tag");
    store.delete(&key).await.expect("a delete");
    let gone = PutCondition::IfMatch(first);
    assert_eq!(store.put(&key, FIRST, gone).await, refused, "If-Match on what was deleted");
    store.put(&key, FIRST, PutCondition::IfAbsent).await.expect("If-None-Match on what was deleted");
    store.delete(&key).await.expect("a delete");
}

/// Races this many puts; enough to make unguarded stores fail, few enough for one connection pool.
const RACERS: usize = 16;

async fn race(store: &Arc<dyn Store>, key: &str, condition: &PutCondition) -> Vec<usize> {
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..RACERS {
        let (store, key, condition) = (Arc::clone(store), key.to_owned(), condition.clone());
        racers.spawn(async move {
            let content = Bytes::from(format!("racer {racer}"));
            (racer, store.put(&key, content, condition).await)
        });
    }
    let mut winners = Vec::new();
    while let Some(finished) = racers.join_next().await {
        match finished.expect("a racer panicked") {
            (racer, Ok(_)) => winners.push(racer),
            (_, Err(error)) => assert_eq!(error, StoreError::PreconditionFailed, "a loser is told so"),
        }
    }
    winners
}

async fn assert_single_winner(store: &dyn Store, key: &str, winners: &[usize]) {
    assert_eq!(winners.len(), 1, "exactly one racer wins, not {winners:?}");
    let object = store.get(key).await.expect("a get after the race");
    assert_eq!(object.bytes, format!("racer {}", winners[0]), "the winner's content is there");
}

async fn of_racing_creations_one_wins(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}race-create");
    let winners = race(store, &key, &PutCondition::IfAbsent).await;
    assert_single_winner(&**store, &key, &winners).await;
    store.delete(&key).await.expect("a delete");
}

async fn of_racing_replacements_one_wins(store: &Arc<dyn Store>, prefix: &str) {
    let key = format!("{prefix}race-replace");
    let etag = store.put(&key, FIRST, PutCondition::IfAbsent).await.expect("a put");
    let winners = race(store, &key, &PutCondition::IfMatch(etag)).await;
    assert_single_winner(&**store, &key, &winners).await;
    store.delete(&key).await.expect("a delete");
}

async fn listings_are_sorted_and_paged(store: &dyn Store, prefix: &str) {
    let names = ["list/b/1", "list/a", "list/c", "list/b", "listing"];
    for name in names {
        store.put(&format!("{prefix}{name}"), FIRST, PutCondition::Always).await.expect("a put");
    }
    let under = format!("{prefix}list/");
    let wanted: Vec<String> =
        ["a", "b", "b/1", "c"].iter().map(|name| format!("{prefix}list/{name}")).collect();
    let all = store.list(&under, None, 100).await.expect("a listing");
    assert_eq!((&all.keys, all.more), (&wanted, false), "all keys of the prefix, sorted");
    let page = store.list(&under, None, 3).await.expect("a first page");
    assert_eq!((&page.keys[..], page.more), (&wanted[..3], true), "a first page");
    let rest = store.list(&under, page.keys.last().map(String::as_str), 3).await.expect("a last page");
    assert_eq!((&rest.keys[..], rest.more), (&wanted[3..], false), "a last page");
    let none = store.list(&format!("{prefix}nothing/"), None, 10).await.expect("an empty listing");
    assert_eq!((none.keys.len(), none.more), (0, false), "a prefix without keys");
    for name in names {
        store.delete(&format!("{prefix}{name}")).await.expect("a delete");
    }
}

async fn empty_and_large_objects_pass(store: &dyn Store, prefix: &str) {
    // The largest object that the service takes is 20 MiB; 21 shows that no buffer on the way is sized for less.
    for (name, size) in [("empty", 0), ("large", 21 << 20)] {
        let key = format!("{prefix}{name}");
        let content: Bytes = (0..size).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        store.put(&key, content.clone(), PutCondition::Always).await.expect("a put");
        assert!(store.get(&key).await.expect("a get").bytes == content, "{name} content comes back whole");
        assert_eq!(store.head(&key).await.expect("a head").bytes, u64::from(size), "{name} size");
        store.delete(&key).await.expect("a delete");
    }
}
