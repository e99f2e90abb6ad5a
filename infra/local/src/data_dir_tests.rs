use super::DataDir;
use crate::error::LocalError;
use api_function::OsEntropy;
use std::os::unix::fs::PermissionsExt;

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    assert!(matches!(DataDir::open(folder.path()), Err(LocalError::DataDirInUse { .. })));
    drop(first);
    DataDir::open(folder.path()).unwrap();
}

#[test]
fn a_folder_is_free_at_once_though_a_child_has_a_copy_of_the_descriptor() {
    // Between fork and exec every child has one. A test that opened a folder again was refused while another test started a process.
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    let childs = first.lock.try_clone().unwrap();
    drop(first);
    DataDir::open(folder.path()).unwrap();
    drop(childs);
}

#[test]
fn credentials_are_made_once_and_kept_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let made = data.credentials(&OsEntropy).unwrap();
    assert_eq!(made, data.credentials(&OsEntropy).unwrap());
    assert_eq!((made.access_key.len(), made.secret_key.len()), (20, 64));
    let mode = std::fs::metadata(data.join("credentials.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{made:?}").contains(&made.secret_key));

    let other = tempfile::tempdir().unwrap();
    assert_ne!(made, DataDir::open(other.path()).unwrap().credentials(&OsEntropy).unwrap());
}

#[test]
fn damaged_secrets_are_an_error_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    std::fs::write(data.join("credentials.json"), "{").unwrap();
    assert!(matches!(data.credentials(&OsEntropy), Err(LocalError::Damaged { .. })));
    std::fs::write(data.join("api-key"), "sk-other").unwrap();
    assert!(matches!(data.api_key(), Err(LocalError::Damaged { .. })));
}

#[test]
fn the_api_key_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    assert_eq!(data.api_key().unwrap(), None);
    data.keep_api_key("dpft-abc").unwrap();
    assert_eq!(data.api_key().unwrap().as_deref(), Some("dpft-abc"));
}
