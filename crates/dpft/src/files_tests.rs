use super::*;

#[test]
fn a_folder_appears_whole_and_is_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("adapter");
    write_folder(&out, &[("a".into(), vec![1]), ("b".into(), vec![2])]).unwrap();
    assert_eq!(std::fs::read(out.join("b")).unwrap(), [2]);
    let error = write_folder(&out, &[]).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "no staging folder is left");
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    assert!(write_file(&root.path().join("missing/x"), b"1").is_err());
    write_file(&root.path().join("x"), b"1").unwrap();
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}
