use super::*;

const TEXT: &str = "Dear doctor, the fever came back on Tuesday — and Noël’s cough too.";

fn leaked(sent: impl AsRef<[u8]>) -> bool {
    !find_words(TEXT, sent.as_ref()).is_empty()
}

#[test]
fn finds_the_text_in_every_form() {
    let part = "THE FEVER, came back\non";
    let utf16 = |to: fn(u16) -> [u8; 2]| part.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    assert!(leaked(part));
    assert!(leaked("POST / HTTP/1.1\r\n\r\n{\"a\":\"the fever came back\"}"));
    assert!(leaked("GET /?q=the%20fever+came%20back"));
    assert!(leaked(r#"{"a": "the\nfever\u0020came\tback"}"#));
    assert!(leaked(utf16(u16::to_le_bytes)));
    assert!(leaked([&[7][..], &utf16(u16::to_le_bytes)].concat()), "at an odd place");
    assert!(leaked(utf16(u16::to_be_bytes)));
    for junk in ["", "a", "ab", "abc"] {
        assert!(leaked(format!("x={junk}{}", STANDARD_NO_PAD.encode(format!("..{part}")))));
    }
    assert!(leaked("tuesday and noël s cough"), "letters beyond ASCII");
}

#[test]
fn fewer_words_or_another_order_is_no_leak() {
    assert!(!leaked(""));
    assert!(!leaked("the fever came"));
    assert!(!leaked("back came fever the on Tuesday"));
    assert!(!leaked("feverish weather came backwards"));
}

#[test]
fn a_cut_escape_at_the_end_is_no_panic() {
    for text in ["%", "%4", "\\", "\\u", "\\u00", "\\u00é", "+", "a"] {
        let _ = find_words(TEXT, text.as_bytes());
    }
}

#[test]
fn finds_tokens_in_every_width_and_order() {
    let ids = [5, 900, 31, 7, 2047, 12];
    let window = &ids[1..5];
    let as_bytes = |encode: fn(u32) -> Vec<u8>| window.iter().flat_map(|&id| encode(id)).collect::<Vec<u8>>();
    let forms = [
        as_bytes(|id| (id as u16).to_le_bytes().to_vec()),
        as_bytes(|id| (id as u16).to_be_bytes().to_vec()),
        as_bytes(|id| id.to_le_bytes().to_vec()),
        as_bytes(|id| id.to_be_bytes().to_vec()),
        as_bytes(leb128),
        b"[900, 31, 7, 2047]".to_vec(),
    ];
    for form in &forms {
        let leaks = find_tokens(&ids, &[b"head", form.as_slice(), b"tail"].concat());
        assert_eq!(leaks.len(), 1, "{leaks:?}");
        assert_eq!(leaks[0].original, "900 31 7 2047");
    }
}

#[test]
fn three_tokens_or_tokens_of_another_place_are_no_leak() {
    let ids = [5, 900, 31, 7, 2047, 12];
    let encode = |ids: &[u16]| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(find_tokens(&ids, &encode(&[5, 900, 31, 12])), []);
    assert_eq!(find_tokens(&ids, &encode(&[31, 7, 5, 900])), []);
}

#[test]
fn leb128_has_its_standard_form() {
    let known = [(0, vec![0]), (127, vec![0x7f]), (128, vec![0x80, 1]), (624_485, vec![0xe5, 0x8e, 0x26])];
    for (id, bytes) in known {
        assert_eq!(leb128(id), bytes);
    }
}
