use super::*;

#[test]
fn values_and_plain_sentences_pass() {
    assert_eq!(shown(Ok::<_, String>(3)), Some(3));
    assert_eq!(shown(Err::<u8, _>("the file is empty: give another")), None);
}

#[test]
fn what_a_terminal_would_obey_does_not_pass() {
    for error in ["two\nlines", "\u{1b}[2J", " ", "a\u{9b}b", &"long".repeat(501)] {
        let error = error.to_owned();
        assert!(std::panic::catch_unwind(|| shown(Err::<u8, _>(&error))).is_err(), "{error:?}");
    }
}
