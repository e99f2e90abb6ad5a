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
    listings_start_after_any_key(&*store, prefix).await;
    empty_and_large_objects_pass(&*store, prefix).await;
    keys_of_every_kind_are_kept_apart(&*store, prefix).await;
    deletions_can_be_repeated(&*store, prefix).await;
    readers_never_go_back(&store, prefix).await;
    no_increment_is_lost(&store, prefix).await;
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

async fn listings_start_after_any_key(store: &dyn Store, prefix: &str) {
    let key = |name: &str| format!("{prefix}after/{name}");
    let names = ["a/1", "a/2", "b/1", "c"];
    for name in names {
        store.put(&key(name), FIRST, PutCondition::Always).await.expect("a put");
    }
    // `0` is the byte after `/`: so whoever lists jobs skips all objects of one.
    let cases = [("a", 4), ("a/1", 3), ("a/15", 3), ("a0", 2), ("b/0", 2), ("c", 0), ("d", 0), ("zz/zz", 0)];
    for (after, left) in cases {
        let page = store.list(&key(""), Some(&key(after)), 10).await.expect("a listing");
        let wanted: Vec<String> = names[names.len() - left..].iter().map(|name| key(name)).collect();
        assert_eq!((page.keys, page.more), (wanted, false), "what comes after `{after}`");
    }
    let before = store.list(&key(""), Some(&format!("{prefix}aaa")), 10).await.expect("a listing");
    assert_eq!(before.keys.len(), 4, "a start before the prefix leaves nothing out");
    let one = store.list(&key("a/"), Some(&key("a/1")), 1).await.expect("a listing");
    assert_eq!((one.keys, one.more), (vec![key("a/2")], false), "the prefix ends a page, too");
    for name in names {
        store.delete(&key(name)).await.expect("a delete");
    }
}

/// Names as the service has them, names that differ little, and what needs escaping somewhere on the way.
const NAMES: [&str; 14] = [
    "tenants/acme-1/files/file-0123456789abcdef01234567/content",
    "tenants/acme-1/jobs/ftjob-0123456789abcdef01234567/checkpoint-1-20.safetensors",
    "models/Model-1.5B_x/model-00001-of-00002.safetensors",
    "case",
    "Case",
    "dir",
    "dir/x",
    "dir.x",
    "a b+c%20d",
    "a b c d",
    "a+b=c&d?e#f",
    "(1)'!*~@:$,;",
    "na\u{ef}ve/\u{43a}\u{43b}\u{44e}\u{447}",
    "quote\"<&>",
];

async fn keys_of_every_kind_are_kept_apart(store: &dyn Store, prefix: &str) {
    let key = |name: &str| format!("{prefix}names/{name}");
    for name in NAMES {
        let written = store.put(&key(name), Bytes::from(name), PutCondition::IfAbsent).await;
        written.unwrap_or_else(|error| panic!("`{name}` can be a key's name: {error}"));
    }
    for name in NAMES {
        let object = store.get(&key(name)).await.expect("a get");
        assert_eq!(object.bytes, Bytes::from(name), "`{name}` is not another key");
    }
    let mut wanted: Vec<String> = NAMES.iter().map(|name| key(name)).collect();
    wanted.sort_unstable();
    let listed = store.list(&key(""), None, 100).await.expect("a listing");
    assert_eq!(listed.keys, wanted, "a listing spells keys as they were put, in the order of their bytes");
    for name in NAMES {
        store.delete(&key(name)).await.expect("a delete");
    }
    let left = store.list(&key(""), None, 100).await.expect("a listing");
    assert_eq!(left.keys.len(), 0, "each key was deleted by its name");
}

async fn deletions_can_be_repeated(store: &dyn Store, prefix: &str) {
    let (key, other) = (format!("{prefix}deleted"), format!("{prefix}deleted-not"));
    for key in [&key, &other] {
        store.put(key, FIRST, PutCondition::Always).await.expect("a put");
    }
    for _ in 0..3 {
        store.delete(&key).await.expect("deleting twice is fine");
        let missing = StoreError::NotFound { key: key.clone() };
        assert_eq!(store.get(&key).await, Err(missing), "what is deleted is gone");
    }
    let listed = store.list(&key, None, 10).await.expect("a listing");
    assert_eq!(listed.keys, std::slice::from_ref(&other), "a listing shows nothing deleted, and all else");
    store.delete(&other).await.expect("a delete");
}

/// While one writer overwrites an object, every reader sees whole versions, and never an older one after a newer one.
async fn readers_never_go_back(store: &Arc<dyn Store>, prefix: &str) {
    const VERSIONS: u32 = 30;
    let key = format!("{prefix}versions");
    // Long enough to be sent in more than one piece.
    let version = |number: u32| Bytes::from(number.to_le_bytes().repeat(50_000));
    store.put(&key, version(0), PutCondition::Always).await.expect("a put");
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, key) = (Arc::clone(store), key.clone());
        readers.spawn(async move {
            let mut last = 0;
            while last < VERSIONS {
                let bytes = store.get(&key).await.expect("a get while it is overwritten").bytes;
                let seen = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
                assert!(bytes == version(seen), "a reader sees one version, whole");
                assert!(seen >= last, "after version {last} a reader never sees version {seen}");
                last = seen;
                // A store in memory answers without a pause in which others could write.
                tokio::task::yield_now().await;
            }
        });
    }
    for number in 1..=VERSIONS {
        store.put(&key, version(number), PutCondition::Always).await.expect("an overwriting put");
        let object = store.get(&key).await.expect("a get");
        assert!(object.bytes == version(number), "the writer reads what it wrote");
        tokio::task::yield_now().await;
    }
    readers.join_all().await;
    store.delete(&key).await.expect("a delete");
}

/// Several writers count up one number by compare-and-swap.
async fn no_increment_is_lost(store: &Arc<dyn Store>, prefix: &str) {
    const WRITERS: u64 = 6;
    const INCREMENTS: u64 = 8;
    let key = format!("{prefix}counter");
    let start = Bytes::copy_from_slice(&0_u64.to_le_bytes());
    store.put(&key, start, PutCondition::IfAbsent).await.expect("a put");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (store, key) = (Arc::clone(store), key.clone());
        writers.spawn(async move {
            let mut done = 0;
            while done < INCREMENTS {
                done += u64::from(increment(&*store, &key).await);
            }
        });
    }
    writers.join_all().await;
    assert_eq!(read_number(&**store, &key).await.0, WRITERS * INCREMENTS, "every increment counts once");
    store.delete(&key).await.expect("a delete");
}

/// True when nobody came in between.
async fn increment(store: &dyn Store, key: &str) -> bool {
    let (number, etag) = read_number(store, key).await;
    // Where the others come in between.
    tokio::task::yield_now().await;
    let next = Bytes::copy_from_slice(&(number + 1).to_le_bytes());
    match store.put(key, next, PutCondition::IfMatch(etag)).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, StoreError::PreconditionFailed, "whoever comes too late is told so");
            false
        }
    }
}

async fn read_number(store: &dyn Store, key: &str) -> (u64, String) {
    let object = store.get(key).await.expect("a get");
    (u64::from_le_bytes(object.bytes[..].try_into().expect("eight bytes")), object.etag)
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
