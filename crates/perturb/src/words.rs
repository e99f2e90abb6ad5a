//! Text as words, the original service's way: what word2vec's text8 corpus does to text.
//!
//! Letters are lower-cased, each ASCII digit is spelled as its English word, and whatever is neither letter nor digit only
//! separates. So every letter and digit of the text belongs to exactly one word; case, punctuation and the kind of white
//! space are dropped on the owner's machine and go nowhere.

/// English names of the digits, as text8 spells them.
const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Calls `found` with each word of `text`, in order.
pub fn for_each_word(text: &str, mut found: impl FnMut(&str)) {
    let mut word = String::new();
    for character in text.chars() {
        // The usual case first: lower-case ASCII needs no table.
        if character.is_ascii_lowercase() {
            word.push(character);
        } else if character.is_alphabetic() {
            word.extend(character.to_lowercase());
        } else {
            if !word.is_empty() {
                found(&word);
                word.clear();
            }
            if character.is_numeric() {
                found(character.to_digit(10).map_or("", |digit| DIGITS[digit as usize]));
            }
        }
    }
    if !word.is_empty() {
        found(&word);
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
