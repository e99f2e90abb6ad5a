use proptest::prelude::*;

use super::*;

const TEXT: &str =
    "The cat sat on the mat. The other cat sat on the other mat, and the dog ran after the cat.";

/// A small tokenizer: the separator, 256 bytes and a few merges.
fn small() -> Tokenizer {
    train([TEXT; 4].into_iter(), 280).unwrap()
}

#[test]
fn separator_and_bytes_come_first() {
    let tokenizer = small();
    assert_eq!(tokenizer.get_vocab_size(true), 280);
    assert_eq!(tokenizer.token_to_id(END_OF_TEXT), Some(u32::from(END_OF_TEXT_ID)));
    let lengths = byte_lengths(&tokenizer);
    assert_eq!(lengths[0], 0);
    assert!(lengths[1..=256].iter().all(|l| *l == 1), "ids 1 to 256 are the bytes");
    assert!(lengths[257..].iter().all(|l| *l > 1), "then come the merges");
}

#[test]
fn every_byte_survives_a_round_trip() {
    let tokenizer = small();
    // U+0000 to U+07FF and a few longer ones use every byte that UTF-8 can contain.
    let mut text: String = (0..0x800).filter_map(char::from_u32).collect();
    text.extend((0x800..0x11_0000).step_by(0x1f1).filter_map(char::from_u32));
    assert_eq!(text.bytes().collect::<std::collections::BTreeSet<u8>>().len(), 256 - 13);
    let ids: Vec<u32> = encode(&tokenizer, &text).unwrap().into_iter().map(u32::from).collect();
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    let lengths = byte_lengths(&tokenizer);
    assert_eq!(ids.iter().map(|&id| lengths[id as usize] as usize).sum::<usize>(), text.len());
}

#[test]
fn the_thirteen_bytes_outside_utf8_have_tokens_too() {
    let tokenizer = small();
    let alphabet = ByteLevel::alphabet();
    assert_eq!(alphabet.len(), 256);
    assert!(alphabet.iter().all(|c| tokenizer.token_to_id(&c.to_string()).is_some()));
}

#[test]
fn saved_and_loaded_it_is_the_same() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), small());
    save(&tokenizer, folder.path(), 512).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(encode(&loaded, TEXT).unwrap(), encode(&tokenizer, TEXT).unwrap());
    assert_eq!(loaded.get_vocab(true), tokenizer.get_vocab(true));
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(config["eos_token"], END_OF_TEXT);
    assert_eq!(config["model_max_length"], 512);
}

#[test]
fn too_little_text_is_an_error() {
    let error = train(["ab"].into_iter(), 4096).unwrap_err().to_string();
    assert!(error.contains("larger corpus"), "{error}");
}

#[test]
fn a_missing_file_says_how_to_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("pretrain tokenizer"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_text_survives_a_round_trip(text: String) {
        thread_local! { static SMALL: Tokenizer = small(); }
        SMALL.with(|tokenizer| {
            let ids: Vec<u32> = encode(tokenizer, &text).unwrap().into_iter().map(u32::from).collect();
            prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
            Ok(())
        })?;
    }
}
