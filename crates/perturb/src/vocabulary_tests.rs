use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{resealed, vocabulary};

fn refused(words: &[&str]) -> TableError {
    Vocabulary::new(words.iter().map(|word| ((*word).to_owned(), 1)), 0).unwrap_err()
}

#[test]
fn known_words_have_their_ids_and_all_others_the_first() {
    let vocabulary = vocabulary();
    assert_eq!(vocabulary.encode("The WORLD, of 9 zebras"), [1, 28, 2, 29, 0]);
    assert_eq!(vocabulary.decode(&[1, 28, 0, 999]), "the world <unk> <unk>");
    assert_eq!((vocabulary.word(0), vocabulary.count(0)), (UNKNOWN, 77));
    assert_eq!((vocabulary.count(1), vocabulary.count(999)), (1000, 0));
}

#[test]
fn text_cannot_spell_the_item_for_unknown_words() {
    assert_eq!(vocabulary().encode("<unk> unk"), [0, 0]);
}

#[test]
fn a_vocabulary_comes_back_from_its_bytes() {
    let vocabulary = vocabulary();
    let read = Vocabulary::from_bytes(&vocabulary.to_bytes()).unwrap();
    assert_eq!(
        (&read.words, &read.counts, &read.domain),
        (&vocabulary.words, &vocabulary.counts, &vocabulary.domain)
    );
    assert_eq!(read.to_bytes(), vocabulary.to_bytes());
    let digest = vocabulary.domain().tokenizer_sha256();
    assert!(vocabulary.to_bytes().ends_with(digest.as_bytes()), "the domain is bound to this very file");
}

#[test]
fn counts_beyond_the_format_are_the_largest() {
    let words = [("a".to_owned(), u64::MAX), ("b".to_owned(), 1)];
    assert_eq!(Vocabulary::new(words, 0).unwrap().count(1), u32::MAX);
}

#[test]
fn lists_that_are_no_vocabulary_are_refused() {
    for (words, index) in
        [(&["a", "b", "a"][..], 3), (&["a", ""], 2), (&["a b", "c"], 1), (&["a", UNKNOWN], 2), (&["a"], 2)]
    {
        assert!(matches!(refused(words), TableError::Word { index: at, .. } if at == index), "{words:?}");
    }
    let long = "x".repeat(256);
    assert!(matches!(refused(&["a", &long]), TableError::Word { index: 2, .. }));
}

#[test]
fn files_that_are_no_vocabularies_say_so() {
    let read = |bytes: &[u8]| Vocabulary::from_bytes(bytes).unwrap_err();
    assert_eq!(read(b"DPNT\x01\x00"), TableError::Magic { table: "vocabulary" });
    assert_eq!(read(b"DPVO\x02\x00"), TableError::Version { table: "vocabulary", version: 2, known: 1 });
    let file = vocabulary().to_bytes();
    for change in [
        (|bytes| bytes[6] += 1) as fn(&mut Vec<u8>),
        |bytes| bytes[6] -= 1,
        |bytes| bytes.push(0),
        |bytes| bytes[12] = b'x',
        |bytes| bytes[13] = 0xFF,
        |bytes| bytes.truncate(9),
    ] {
        assert_eq!(read(&resealed(file.clone(), change)), KIND.corrupt());
    }
    let twice = resealed(file, |bytes| {
        let length = bytes.len();
        bytes.extend_from_within(length - 8..);
        bytes[6] += 1;
    });
    assert!(matches!(read(&twice), TableError::Word { .. } | TableError::Corrupt { .. }));
}

proptest! {
    #[test]
    fn any_changed_byte_or_cut_is_an_error(position: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
        let bytes = vocabulary().to_bytes();
        let mut changed = bytes.clone();
        changed[position.index(bytes.len())] ^= flip;
        prop_assert!(Vocabulary::from_bytes(&changed).is_err());
        prop_assert!(Vocabulary::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn what_is_decoded_is_encoded_to_the_same_words(ids in prop::collection::vec(1_u32..33, 0..20)) {
        let vocabulary = vocabulary();
        prop_assert_eq!(vocabulary.encode(&vocabulary.decode(&ids)), ids);
    }
}
