use super::*;
use bytes::Bytes;
use jobs::PutCondition;

#[tokio::test]
async fn what_is_put_offline_is_there_at_the_next_opening_and_two_cannot_open_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_data_dir(folder.path()).await.unwrap();
    first
        .store()
        .put("models/x/index.json", Bytes::from_static(b"{}"), PutCondition::IfAbsent)
        .await
        .unwrap();
    assert!(matches!(open_data_dir(folder.path()).await, Err(LocalError::DataDirInUse { .. })));
    first.close().await;
    let second = open_data_dir(folder.path()).await.unwrap();
    assert_eq!(second.store().get("models/x/index.json").await.unwrap().bytes, Bytes::from_static(b"{}"));
    second.close().await;
}
