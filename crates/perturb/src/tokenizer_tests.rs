use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::test_fixtures::{byte_characters, byte_fallback_json, byte_level_json, tokenizer, tokenizer_of};

fn error_of(json: &Value) -> TokenizerError {
    Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap_err()
}

#[test]
fn merges_apply_and_nothing_is_added_cut_or_padded() {
    let tokenizer = tokenizer();
    // "hello" is 260, "Ġw" 261, "or" 262; single bytes are their value plus one. The fixture asks for 4 tokens, padding to
    // 64, a special token in front and dropped merges: none of it may happen.
    let byte = |byte: u8| u32::from(byte) + 1;
    let expected = [260, 261, 262, byte(b'l'), byte(b'd'), byte(b'!')];
    for _ in 0..20 {
        assert_eq!(tokenizer.encode("hello world!").unwrap(), expected);
    }
}

#[test]
fn control_tokens_in_the_text_are_plain_text() {
    let tokenizer = tokenizer();
    for text in ["<|endoftext|>", "a<think>b", "<|endoftext|><think>"] {
        let ids = tokenizer.encode(text).unwrap();
        assert!(ids.iter().all(|&id| tokenizer.domain().index(id).is_some()), "{text}: {ids:?}");
        assert_eq!(tokenizer.decode(&ids), text);
    }
}

#[test]
fn the_domain_has_no_special_and_no_added_token() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.domain().ids(), (1..=262).collect::<Vec<u32>>());
    assert_eq!(tokenizer.sha256(), Sha256Digest::of(byte_level_json().to_string().as_bytes()));
    let fallback = tokenizer_of(&byte_fallback_json());
    assert_eq!(fallback.domain().ids(), (1..=261).collect::<Vec<u32>>());
}

#[test]
fn byte_fallback_spells_what_the_vocabulary_lacks() {
    let tokenizer = tokenizer_of(&byte_fallback_json());
    // ▁hi, ▁, then é as C3 A9.
    assert_eq!(tokenizer.encode("hi é").unwrap(), [261, 257, 0xC3 + 1, 0xA9 + 1]);
    assert_eq!(tokenizer.decode(&[261, 257, 0xC4, 0xAA]), "hi é");
    assert_eq!(tokenizer.token_text(261), " hi");
}

#[test]
fn the_spelling_of_bytes_is_gpt_2s() {
    for (byte, character) in byte_characters().into_iter().enumerate() {
        assert_eq!(spelled_byte(character), Some(byte as u8), "{character}");
    }
    for other in [' ', '\n', '\u{ad}', '\u{144}', '▁', '€'] {
        assert_eq!(spelled_byte(other), None, "{other:?}");
    }
}

#[test]
fn a_missing_byte_is_named() {
    let mut json = byte_level_json();
    json["model"]["vocab"].as_object_mut().unwrap().remove("Ċ");
    assert_eq!(error_of(&json), TokenizerError::ByteMissing(b'\n'));
    let mut json = byte_fallback_json();
    json["model"]["vocab"].as_object_mut().unwrap().remove("<0x41>");
    assert_eq!(error_of(&json), TokenizerError::ByteMissing(b'A'));
    // The letter itself is no substitute for the fallback byte, since other scripts need the byte as well.
    json["model"]["vocab"]["A"] = json!(400);
    assert_eq!(error_of(&json), TokenizerError::ByteMissing(b'A'));
}

#[test]
fn a_missing_control_character_is_left_out_of_the_text() {
    let mut json = byte_level_json();
    json["model"]["vocab"].as_object_mut().unwrap().remove(&byte_characters()[4].to_string());
    let tokenizer = tokenizer_of(&json);
    assert_eq!(tokenizer.decode(&tokenizer.encode("a\u{4}b").unwrap()), "ab");
}

#[test]
fn other_tokenizers_and_other_files_are_refused() {
    let mut words = byte_level_json();
    words["pre_tokenizer"] = json!({"type": "Whitespace"});
    assert_eq!(error_of(&words), TokenizerError::NotByteLevel);
    for (bytes, _) in [(&b""[..], 0), (b"{", 0), (b"\xff", 0)] {
        assert!(matches!(Tokenizer::from_bytes(bytes), Err(TokenizerError::Unreadable(_))));
    }
    for json in [json!(1), json!([]), json!({}), json!({"model": 3})] {
        assert!(matches!(error_of(&json), TokenizerError::NotByteLevel));
    }
    for key in ["model", "added_tokens"] {
        let mut json = byte_level_json();
        json[key] = json!(["odd"]);
        assert!(matches!(error_of(&json), TokenizerError::Unreadable(_)), "{key}");
    }
}

#[test]
fn an_absurd_id_takes_no_memory() {
    let mut json = byte_level_json();
    json["model"]["vocab"]["zz"] = json!(u32::MAX);
    assert!(Tokenizer::from_bytes(json.to_string().as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_comes_back_from_its_tokens(text in "\\PC{0,40}[\n\r\t he\u{4}<|]{0,10}") {
        for tokenizer in [tokenizer(), tokenizer_of(&byte_fallback_json())] {
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert!(ids.iter().all(|&id| tokenizer.domain().index(id).is_some()));
            prop_assert_eq!(tokenizer.decode(&ids), text.clone());
        }
    }
}

#[test]
fn the_demo_models_tokenizer_is_taken() {
    let tokenizer =
        Tokenizer::from_bytes(include_bytes!("../../../models/demo-llama-4m/tokenizer.json")).unwrap();
    assert!(tokenizer.domain().index(0).is_none(), "<|endoftext|> is no item");
    assert!(tokenizer.domain().len() >= 4_000);
    let text = "Once upon a time <|endoftext|> — Ωμέγα 🦀 1234\n";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
}

#[test]
fn a_far_off_id_costs_no_row_for_each_id_before_it() {
    let mut json = byte_level_json();
    json["model"]["vocab"]["far"] = json!(9_999_999);
    let tokenizer = tokenizer_of(&json);
    assert_eq!(tokenizer.pieces.len(), tokenizer.domain().len());
    assert_eq!(tokenizer.token_text(9_999_999), "far");
    assert_eq!(tokenizer.token_text(9_999_998), "", "an id that there is not");
}

#[test]
fn an_error_repeats_a_files_words_in_one_short_line() {
    let mut json = byte_level_json();
    json["pre_tokenizer"]["type"] = json!("two\nlines".repeat(200));
    json["normalizer"] = json!({"type": "ByteLevel"});
    let error = error_of(&json).to_string();
    assert!(!error.contains(char::is_control) && error.len() < 1000, "{error:?}");
}
