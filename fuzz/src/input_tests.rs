use super::*;
use serde_json::json;

#[test]
fn parts_are_what_was_joined() {
    let input = joined(&[b"one", b"", b"three"]);
    assert_eq!(parts::<3>(&input), [&b"one"[..], b"", b"three"]);
    assert_eq!(parts::<2>(&input), [&b"one"[..], b"\xFFthree"]);
    assert_eq!(parts::<2>(b""), [&b""[..], b""]);
}

#[test]
fn a_patch_reaches_any_place() {
    let base = json!({"model": {"vocab": {"a": 1}, "merges": []}, "version": 1});
    let patched = merged(&base, br#"{"model": {"vocab": {"a": 7, "b": {"c": null}}}, "version": null}"#);
    let value: Value = serde_json::from_slice(&patched).unwrap();
    assert_eq!(value, json!({"model": {"vocab": {"a": 7, "b": {}}, "merges": []}}));
    assert_eq!(merged(&base, b"{}"), base.to_string().into_bytes());
    assert_eq!(merged(&base, b"[1, 2"), b"[1, 2");
}

#[test]
fn a_safetensors_file_comes_apart_again() {
    let file = safetensors(b"{}", b"data");
    assert_eq!(header_and_data(&file), (&b"{}"[..], &b"data"[..]));
}
