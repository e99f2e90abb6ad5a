use super::{Condition, Directory, Entry, WriteError};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static BLOBS: AtomicU64 = AtomicU64::new(0);

fn staged(directory: &Directory, key: &str, content: &str) -> Entry {
    let blob = format!("blob-{}", BLOBS.fetch_add(1, Ordering::Relaxed));
    std::fs::write(directory.staged_path(&blob), content).unwrap();
    let (key, etag) = (key.to_owned(), format!("tag of {content}"));
    Entry {
        key,
        blob,
        bytes: content.len() as u64,
        etag,
        sha256: String::new(),
        content_type: None,
        modified: 5,
    }
}

fn write(directory: &Directory, key: &str, content: &str, condition: &Condition) -> Result<(), WriteError> {
    directory.commit(staged(directory, key, content), condition)
}

fn read(directory: &Directory, key: &str) -> Option<String> {
    let (_, mut file) = directory.read(key).unwrap()?;
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    Some(text)
}

fn files_in(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn conditions_decide_and_a_lost_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let absent = write(&directory, "k", "a", &Condition::IfMatch("tag of a".into()));
    assert!(matches!(absent, Err(WriteError::Absent)));
    write(&directory, "k", "a", &Condition::IfAbsent).unwrap();
    assert!(matches!(write(&directory, "k", "b", &Condition::IfAbsent), Err(WriteError::Condition)));
    let stale = write(&directory, "k", "b", &Condition::IfMatch("tag of x".into()));
    assert!(matches!(stale, Err(WriteError::Condition)));
    assert_eq!(read(&directory, "k").as_deref(), Some("a"));
    write(&directory, "k", "b", &Condition::IfMatch("tag of a".into())).unwrap();
    assert_eq!(read(&directory, "k").as_deref(), Some("b"));
    assert_eq!(files_in(&folder.path().join("staged")), 0);
    assert_eq!(files_in(&folder.path().join("blobs")), 1);
}

#[test]
fn a_reader_keeps_what_it_opened() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    write(&directory, "k", "old", &Condition::Always).unwrap();
    let (_, mut file) = directory.read("k").unwrap().unwrap();
    write(&directory, "k", "new", &Condition::Always).unwrap();
    directory.remove("k").unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old");
    assert_eq!(read(&directory, "k"), None);
}

#[test]
fn what_was_written_is_there_after_a_restart_and_rubbish_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["a", "a/b", "../escape", "ü\n\u{7f}/..", &"x".repeat(1024), "index/../blobs"];
    {
        let directory = Directory::open(folder.path()).unwrap();
        for key in keys {
            write(&directory, key, key, &Condition::Always).unwrap();
        }
        staged(&directory, "never committed", "half");
        std::fs::write(folder.path().join("blobs/orphan"), "left by a crash").unwrap();
    }
    let directory = Directory::open(folder.path()).unwrap();
    for key in keys {
        assert_eq!(read(&directory, key).as_deref(), Some(key));
    }
    assert_eq!(files_in(&folder.path().join("staged")), 0);
    assert_eq!(files_in(&folder.path().join("blobs")), keys.len());
    assert_eq!(files_in(folder.path()), 3);
}

#[test]
fn of_many_racers_one_creates_and_one_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Arc::new(Directory::open(folder.path()).unwrap());
    for condition in [Condition::IfAbsent, Condition::IfMatch("tag of winner".into())] {
        let race = |number: usize| {
            let (directory, condition) = (directory.clone(), condition.clone());
            std::thread::spawn(move || {
                let content =
                    if condition == Condition::IfAbsent { "winner".into() } else { number.to_string() };
                write(&directory, "k", &content, &condition).is_ok()
            })
        };
        let racers: Vec<_> = (0..20).map(race).collect();
        let wins = racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count();
        assert_eq!(wins, 1, "{condition:?}");
    }
}

proptest! {
    /// Listing in pages shows exactly what a sorted map would.
    #[test]
    fn listings_are_those_of_a_map(
        keys in proptest::collection::btree_set("[ab/.]{1,4}", 0..20),
        prefix in "[ab/]{0,2}",
        after in "[ab/.]{0,3}",
        limit in 1_usize..6,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        for key in &keys {
            write(&directory, key, "x", &Condition::Always).unwrap();
        }
        let map: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), ())).collect();
        let expected: Vec<_> = map.keys().filter(|key| key.starts_with(&prefix) && key.as_str() > after.as_str()).cloned().collect();
        let (page, more) = directory.list(&prefix, &after, limit);
        let page: Vec<_> = page.into_iter().map(|entry| entry.key).collect();
        prop_assert_eq!(&page[..], &expected[..expected.len().min(limit)]);
        prop_assert_eq!(more, expected.len() > limit);
    }
}
