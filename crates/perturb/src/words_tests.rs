use proptest::prelude::*;

use super::*;

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for_each_word(text, |word| words.push(word.to_owned()));
    words
}

#[test]
fn case_digits_and_punctuation_are_text8s() {
    assert_eq!(
        words("In 1984, Mr. O'Brien—alone."),
        ["in", "one", "nine", "eight", "four", "mr", "o", "brien", "alone"]
    );
    assert_eq!(words(""), Vec::<String>::new());
    assert_eq!(words(" ,.\n\t!"), Vec::<String>::new());
    assert_eq!(words("Grüße ΑΘΗΝΑ 東京"), ["grüße", "αθηνα", "東京"]);
}

#[test]
fn a_digit_of_another_script_is_a_word_that_no_vocabulary_has() {
    assert_eq!(words("a²b"), ["a", "", "b"]);
    assert_eq!(words("٣"), [""]);
}

proptest! {
    #[test]
    fn every_letter_is_in_one_word_and_every_digit_is_one(text: String) {
        let words = words(&text);
        let letters: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
        let without_digits = text.chars().map(|c| if c.is_numeric() && !c.is_alphabetic() { ' ' } else { c }).collect::<String>();
        prop_assert_eq!(self::words(&without_digits).concat(), letters);
        let digits = text.chars().filter(|c| c.is_numeric() && !c.is_alphabetic()).count();
        prop_assert_eq!(words.len() - digits, self::words(&without_digits).len());
    }
}
