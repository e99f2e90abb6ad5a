use super::*;
use std::path::PathBuf;

fn model() -> ModelFiles {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    ModelFiles::from_dir(&folder).unwrap()
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
