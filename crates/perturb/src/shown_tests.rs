use super::*;

#[test]
fn plain_words_stay_as_they_are() {
    assert_eq!(Shown("unknown field `größe`").to_string(), "unknown field `größe`");
    assert_eq!(Shown(&"ü".repeat(LONGEST)).to_string(), "ü".repeat(LONGEST));
}

#[test]
fn what_a_terminal_would_obey_is_replaced() {
    assert_eq!(Shown("a\n\u{1b}[2J\u{9b}b\0").to_string(), "a\u{fffd}\u{fffd}[2J\u{fffd}b\u{fffd}");
}

#[test]
fn what_is_too_long_is_cut() {
    let shown = Shown(&"ü".repeat(LONGEST + 1)).to_string();
    assert_eq!(shown, "ü".repeat(LONGEST) + "…");
}
