use super::*;

fn entry(body: &str) -> Entry {
    Entry { body: body.into(), visible_at: 7, receive_count: 0, dead: false }
}

fn apply(journal: &mut Journal, messages: &mut Messages, record: Record) {
    journal.append(&record, messages).unwrap();
    messages.apply(record);
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.jsonl");
    let (mut journal, mut messages) = Journal::open(&path).unwrap();
    apply(&mut journal, &mut messages, Record::Set(0, entry("a")));
    apply(&mut journal, &mut messages, Record::Set(1, entry("b")));
    apply(&mut journal, &mut messages, Record::Remove(1));
    let (_, again) = Journal::open(&path).unwrap();
    assert_eq!(again, messages);
    assert_eq!(
        (again.next, again.entries.len()),
        (2, 1),
        "the number of a removed message is not used again"
    );
    let (_, third) = Journal::open(&path).unwrap();
    assert_eq!(third, messages, "replacing the file loses nothing");
}

#[test]
fn half_a_record_at_the_end_is_dropped_and_damage_elsewhere_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.jsonl");
    let (mut journal, mut messages) = Journal::open(&path).unwrap();
    apply(&mut journal, &mut messages, Record::Set(0, entry("a")));
    let whole = std::fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (_, left) = Journal::open(&path).unwrap();
        assert!(left.entries.len() <= usize::from(cut == whole.len()), "cut at {cut}");
    }
    std::fs::write(&path, b"{\"Next\":1}\nnonsense\n{\"Next\":2}\n").unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    assert!(!error.contains("nonsense"), "content stays out of messages");
}

#[test]
fn a_long_journal_is_replaced_by_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.jsonl");
    let (mut journal, mut messages) = Journal::open(&path).unwrap();
    for number in 0..(COMPACT_AFTER as u64 + 10) {
        apply(&mut journal, &mut messages, Record::Set(number, entry("x")));
        apply(&mut journal, &mut messages, Record::Remove(number));
    }
    assert!(std::fs::read_to_string(&path).unwrap().lines().count() <= COMPACT_AFTER + 1);
    let (_, again) = Journal::open(&path).unwrap();
    assert_eq!(again, messages);
}
