use super::*;
use std::path::PathBuf;

fn model() -> ModelFiles {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    ModelFiles::from_dir(&folder).unwrap()
}

#[test]
fn data_that_begins_with_an_object_is_json_unless_told_otherwise() {
    let chat = b"\n{\"messages\": []}\nrest";
    assert_eq!(unit_of(None, chat), UnitName::JsonRecord);
    assert_eq!(unit_of(Some(UnitName::Paragraph), chat), UnitName::Paragraph);
    for text in [b"".as_slice(), b"[1, 2]", b"{ not json", b"a line\n{}"] {
        assert_eq!(unit_of(None, text), UnitName::Line);
    }
}

#[test]
fn a_given_template_is_read_for_json_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.jinja");
    std::fs::write(&path, "{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    assert!(format(&model(), UnitName::JsonRecord, Some(&path)).unwrap().is_some());
    assert!(format(&model(), UnitName::JsonRecord, None).unwrap().is_none(), "the model has none of its own");
    assert!(format(&model(), UnitName::Line, None).unwrap().is_none());
    let error = format(&model(), UnitName::Line, Some(&path)).unwrap_err().to_string();
    assert!(error.contains("--unit json-record"), "{error}");
    std::fs::write(&path, "{% for %}").unwrap();
    assert!(format(&model(), UnitName::JsonRecord, Some(&path)).is_err());
}
