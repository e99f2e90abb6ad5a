use super::*;
use crate::test_fixtures::{byte_fallback_json, byte_level_json};

fn tokenizer(json: &Value) -> TemplateTokenizer {
    TemplateTokenizer::from_bytes(json.to_string().as_bytes()).unwrap()
}

#[test]
fn added_tokens_are_read_and_nothing_is_added_cut_or_padded() {
    let tokenizer = tokenizer(&byte_level_json());
    let text = "<|endoftext|>hello<think>!";
    for _ in 0..20 {
        let found = tokenizer.encode(text).unwrap();
        let pieces: Vec<(u32, &str)> = found.iter().map(|(id, at)| (*id, &text[at.clone()])).collect();
        let expected = [(0, "<|endoftext|>"), (260, "hello"), (263, "<think>"), (u32::from(b'!') + 1, "!")];
        // Ids of single bytes follow GPT-2's spelling, in which printable ones come first.
        assert_eq!(pieces[..3], expected[..3]);
        assert_eq!((pieces.len(), pieces[3].1), (4, "!"));
    }
}

#[test]
fn offsets_are_bytes_and_cover_the_text() {
    let tokenizer = tokenizer(&byte_fallback_json());
    let text = "hi é<unk>h";
    let found = tokenizer.encode(text).unwrap();
    let covered: Vec<usize> = found.iter().map(|(_, at)| at.end).collect();
    assert!(covered.is_sorted() && covered.last() == Some(&text.len()), "{found:?}");
    assert!(found.iter().any(|(id, at)| *id == 0 && &text[at.clone()] == "<unk>"));
}

#[test]
fn control_tokens_are_the_special_ones() {
    assert_eq!(tokenizer(&byte_level_json()).control_tokens(), ["<|endoftext|>"]);
    let error = TemplateTokenizer::from_bytes(b"{}").unwrap_err();
    assert!(matches!(error, TokenizerError::Unreadable(_)), "{error}");
}

#[test]
fn a_normaliser_makes_no_control_token_of_other_words() {
    let mut json = byte_level_json();
    json["normalizer"] =
        serde_json::json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]});
    json["added_tokens"][0]["normalized"] = serde_json::json!(true);
    let tokenizer = tokenizer(&json);
    let has_control = |text: &str| tokenizer.encode(text).unwrap().iter().any(|(id, _)| *id == 0);
    assert!(has_control("<|endoftext|>"), "what the template writes");
    for content in ["<|ENDOFTEXT|>", "＜|endoftext|＞"] {
        assert!(!has_control(content), "{content} is what a person wrote");
    }
}
