use super::*;

#[test]
fn a_mapped_file_reads_the_same_after_its_memory_was_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &content).unwrap();
    let mapped = WeightBytes::map(&path).unwrap();
    let clone = mapped.clone();
    assert_eq!(mapped[..], content[..]);
    mapped.release();
    // Also when the file has no name any more.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(mapped[..], content[..]);
    clone.release();
    assert_eq!(Bytes::from(clone)[..], content[..]);
    let owned = WeightBytes::from(content.clone());
    owned.release();
    assert_eq!(Bytes::from(owned)[..], content[..]);
    assert!(WeightBytes::map(&path).is_err());
}

#[test]
fn spilled_bytes_read_the_same_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7u8; 10_000];
    let spilled = WeightBytes::spilled(&content, folder.path()).unwrap();
    spilled.release();
    assert_eq!(spilled[..], content[..]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(WeightBytes::spilled(&content, &folder.path().join("missing")).is_err());
}
