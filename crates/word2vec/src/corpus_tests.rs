//! Counting, order, line ends, and buffers that end anywhere.

use std::io::{BufReader, Read};

use proptest::prelude::*;

use super::*;
use crate::Settings;

fn config(min_count: u64, max_words: usize) -> Config {
    Config::new(Settings { min_count, max_words, ..Settings::default() }).unwrap()
}

fn read(text: &str, min_count: u64, max_words: usize) -> Corpus {
    Corpus::read(text.as_bytes(), &config(min_count, max_words)).unwrap()
}

#[test]
fn words_stand_by_count_and_then_by_spelling() {
    let corpus = read("b a c a b d  a\tc e\n", 1, 100);
    let vocabulary = corpus.vocabulary();
    assert_eq!(vocabulary.words(), ["a", "b", "c", "d", "e"]);
    assert_eq!(vocabulary.counts(), [3, 2, 2, 1, 1]);
    assert_eq!(corpus.ids(), [1, 0, 2, 0, 1, 3, 0, 2, 4, LINE_END]);
    assert_eq!(corpus.raw_words(), 9);
}

#[test]
fn rare_words_vanish_and_the_most_frequent_stay() {
    let corpus = read("x y rare x y z x\nz y z z", 2, 2);
    assert_eq!(corpus.vocabulary().words(), ["z", "x"]);
    assert_eq!(corpus.ids(), [1, 1, 0, 1, LINE_END, 0, 0, 0]);
    assert_eq!(corpus.raw_words(), 11);
}

#[test]
fn vocabulary_alone_is_the_same() {
    let text = "one two two three three three";
    let vocabulary = Vocabulary::build(text.as_bytes(), &config(1, 10)).unwrap();
    assert_eq!(&vocabulary, read(text, 1, 10).vocabulary());
    assert_eq!((vocabulary.len(), vocabulary.is_empty()), (3, false));
}

#[test]
fn bad_texts_are_refused() {
    let read = |text: &[u8]| Corpus::read(text, &config(2, 10));
    assert!(matches!(read(b""), Err(Word2VecError::Vocabulary { found: 0, min_count: 2 })));
    assert!(matches!(read(b"a a b"), Err(Word2VecError::Vocabulary { found: 1, .. })));
    assert!(matches!(read(b"good \xff\xfe bad"), Err(Word2VecError::NotUtf8 { word: 1 })));
    let broken = BufReader::new(Broken);
    assert!(matches!(Corpus::read(broken, &config(1, 10)), Err(Word2VecError::Read(_))));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is gone"))
    }
}

#[test]
fn the_hash_tells_texts_apart() {
    let hash = |text: &str| read(text, 1, 100).sha256();
    let base = hash("a b a c");
    assert_eq!(base, hash("a  b\ta c"));
    assert!([hash("a a b c"), hash("a b a d"), hash("a b\na c")].iter().all(|&other| other != base));
}

proptest! {
    #[test]
    fn buffers_may_end_anywhere(text in "([a-dé]{1,4}[ \n]{1,2}){2,40}[a-d]{0,3}", size in 1_usize..9) {
        let whole = Corpus::read(text.as_bytes(), &config(1, 1000));
        let pieces = Corpus::read(BufReader::with_capacity(size, text.as_bytes()), &config(1, 1000));
        match (whole, pieces) {
            (Ok(whole), Ok(pieces)) => {
                prop_assert_eq!(whole.ids(), pieces.ids());
                prop_assert_eq!(whole.vocabulary(), pieces.vocabulary());
                prop_assert_eq!(whole.raw_words() as usize, text.split_whitespace().count());
                let total: u64 = whole.vocabulary().counts().iter().sum();
                prop_assert_eq!(total, whole.raw_words());
            }
            (whole, pieces) => prop_assert!(whole.is_err() && pieces.is_err()),
        }
    }
}
