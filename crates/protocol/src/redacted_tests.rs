use crate::api::{FileObject, FileTicket, ModelFileLink, ModelObject, PresignedPut};
use crate::id::{FileId, Filename, ModelId};
use std::collections::BTreeMap;

const LINK: &str = "https://files.example/k?X-Amz-Signature=0123456789abcdef";
const SECRETS: [&str; 3] = ["0123456789abcdef", "files.example", "diary of march"];

fn file() -> FileObject {
    FileObject {
        id: FileId::from_entropy([7; 12]),
        object: "file".into(),
        bytes: 9,
        created_at: 1,
        filename: Filename::parse("diary of march.txt").unwrap(),
        purpose: "fine-tune".into(),
        status: "processed".into(),
        download_url: Some(LINK.into()),
    }
}

fn put() -> PresignedPut {
    let headers = BTreeMap::from([("x-amz-checksum-sha256".to_owned(), "0123456789abcdef".to_owned())]);
    PresignedPut { method: "PUT".into(), url: LINK.into(), headers, expires_at: 1_790_000_900 }
}

#[test]
fn debug_of_what_carries_a_link_shows_no_link() {
    let link = ModelFileLink { url: LINK.into(), bytes: 5, sha256: "ab".repeat(32) };
    let model = ModelObject {
        id: ModelId::parse("m").unwrap(),
        object: "model".into(),
        created: 1,
        owned_by: "dpft".into(),
        description: "A model.".into(),
        files: BTreeMap::from([("tokenizer.json".to_owned(), link)]),
    };
    let ticket = FileTicket { file: file(), upload: put() };
    for text in
        [format!("{:?}", file()), format!("{:#?}", put()), format!("{ticket:?}"), format!("{model:?}")]
    {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(format!("{:?}", file()).contains("file-070707"), "what helps to find the file is shown");
}
