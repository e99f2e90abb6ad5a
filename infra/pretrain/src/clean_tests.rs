use proptest::prelude::*;

use super::*;

const PROSE: &str = "The river rises in the hills and runs through three small towns before it meets the sea near the old harbour.";

#[test]
fn prose_passes_unchanged() {
    let text = format!("{PROSE}\n{PROSE}");
    assert_eq!(article(&text), Some(text));
}

#[test]
fn figures_markup_holes_and_fragments_are_dropped() {
    let bad = [
        "Short line.".to_owned(),
        PROSE.replace("three", "  "),
        PROSE.replace("hills", "hills <ref>"),
        PROSE.replace("small towns", "12345 6789 towns"),
        PROSE.replace('.', ""),
        PROSE.replace("The", "the"),
        PROSE.replace("old harbour", "старая гавань"),
        PROSE.replace("three small", "@#%&* + = {} []"),
    ];
    for line in bad {
        assert_eq!(article(&format!("{line}\n{line}")), None, "{line}");
    }
}

#[test]
fn asides_and_typographic_marks_are_simplified() {
    assert_eq!(without_parentheses("Ada (born (in 1815)) wrote (a lot)."), "Ada wrote.");
    assert_eq!(without_parentheses("Left open (here."), "Left open (here.");
    assert_eq!(without_parentheses("Closed) twice."), "Closed) twice.");
    assert_eq!(normalise("“It’s 3–4…”\u{a0}she said\u{200b}"), "\"It's 3-4...\" she said");
}

#[test]
fn shouted_names_get_the_case_of_names() {
    assert_eq!(lower_shouting("JANE DOE'S HOUSE is a house."), "Jane Doe's House is a house.");
    assert_eq!(lower_shouting("CRYOBACTERIUM is a genus."), "Cryobacterium is a genus.");
    assert_eq!(lower_shouting("The BBC and I agree."), "The BBC and I agree.");
}

#[test]
fn wikitext_tokens_are_joined_again() {
    let line = "The 17th @-@ century tower , which cost a million dollars , was called \" the old lady 's needle \" by all the people who did n't like it at all .";
    let joined = "The 17th-century tower, which cost a million dollars, was called \"the old lady's needle\" by all the people who didn't like it at all.";
    assert_eq!(detokenise(line), joined);
    assert_eq!(wikitext_line(line), [joined]);
    assert_eq!(detokenise("It cost $ 1 @,@ 500 ( or 2 @.@ 5 % ) ; why ?"), "It cost $1,500 (or 2.5%); why?");
}

#[test]
fn sentences_with_unknown_words_are_dropped() {
    let good = PROSE.trim_end_matches('.');
    let line = format!(" {good} . The <unk> was here . {good} . ");
    assert_eq!(wikitext_line(&line), [PROSE, PROSE]);
    assert!(wikitext_line(" = = A heading = = ").is_empty());
    assert!(wikitext_line("  ").is_empty());
}

#[test]
fn worked_answers_lose_their_marks() {
    let answer = "He has 3*4=<<3*4=12>>12  apples.\nSo 12.\n#### 12";
    assert_eq!(worked_answer(answer), "He has 3*4=12 apples.\nSo 12.");
    assert_eq!(worked_answer("Cut off <<3*4"), "Cut off");
}

proptest! {
    #[test]
    fn cleaning_takes_any_text(text: String) {
        // No panic; and whatever is kept keeps the promise.
        for line in article(&text).iter().flat_map(|t| t.lines()).chain(wikitext_line(&text).iter().map(String::as_str)) {
            prop_assert!(is_prose(line));
        }
        worked_answer(&text);
    }

    #[test]
    fn cleaning_twice_changes_nothing(words in prop::collection::vec("[A-Za-z']{1,9}", 20..60)) {
        let text = format!("It is {}.", words.join(" "));
        if let Some(once) = article(&format!("{text}\n{text}")) {
            prop_assert_eq!(article(&once), Some(once));
        }
    }
}
