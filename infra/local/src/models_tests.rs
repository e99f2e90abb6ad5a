use super::{publish_all, publish_model};
use crate::error::LocalError;
use crate::test_model::write_model;
use jobs::{ManualClock, MemoryStore, Store};
use perturb::{NeighbourTable, Tokenizer};
use protocol::api::ModelIndex;
use protocol::id::ModelId;
use std::path::{Path, PathBuf};

struct Fixture {
    folder: tempfile::TempDir,
    store: MemoryStore,
    id: ModelId,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("tiny"));
        Self { folder, store: MemoryStore::new(), id: ModelId::parse("tiny").unwrap() }
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("tiny")
    }

    async fn publish(&self, now: u64) -> Result<(), LocalError> {
        publish_model(&self.store, &self.model(), &self.id, &ManualClock::new(now)).await
    }

    async fn index(&self) -> ModelIndex {
        serde_json::from_slice(&self.store.get("models/tiny/index.json").await.unwrap().bytes).unwrap()
    }
}

#[tokio::test]
async fn a_chat_template_is_published_with_the_model_and_a_new_one_makes_a_new_version() {
    let fixture = Fixture::new();
    fixture.publish(5).await.unwrap();
    let template = fixture.model().join("chat_template.jinja");
    for (now, text) in [(6, "{{ messages }}"), (7, "{{ messages }}!")] {
        std::fs::write(&template, text).unwrap();
        fixture.publish(now).await.unwrap();
        let stored = fixture.store.get("models/tiny/chat_template.jinja").await.unwrap().bytes;
        assert_eq!((stored.as_ref(), fixture.index().await.created), (text.as_bytes(), now));
    }
    fixture.publish(8).await.unwrap();
    assert_eq!(fixture.index().await.created, 7, "what is there already is not published again");
}

#[tokio::test]
async fn a_model_is_published_whole_with_its_table() {
    let fixture = Fixture::new();
    fixture.publish(5).await.unwrap();
    let index = fixture.index().await;
    let names: Vec<_> = index.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "neighbours.bin", "tokenizer.json"]);
    assert!(index.description.contains("257 tokens"), "{}", index.description);
    for (name, entry) in &index.files {
        let stored = fixture.store.get(&format!("models/tiny/{name}")).await.unwrap().bytes;
        assert_eq!((stored.len() as u64, &super::entry(&stored).sha256), (entry.bytes, &entry.sha256));
    }
    let get = |name: &'static str| fixture.store.get(name);
    let tokenizer = Tokenizer::from_bytes(&get("models/tiny/tokenizer.json").await.unwrap().bytes).unwrap();
    let table = get("models/tiny/neighbours.bin").await.unwrap().bytes;
    let table = NeighbourTable::from_bytes(&table, tokenizer.domain()).unwrap();
    assert_eq!(table.columns(), 32);
}

#[tokio::test]
async fn publishing_the_same_model_again_changes_nothing_and_another_replaces_it() {
    let fixture = Fixture::new();
    fixture.publish(5).await.unwrap();
    fixture.publish(6).await.unwrap();
    assert_eq!(fixture.index().await.created, 5);
    let config = fixture.model().join("config.json");
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("\"max_position_embeddings\":64", "\"max_position_embeddings\":32");
    std::fs::write(&config, text).unwrap();
    fixture.publish(7).await.unwrap();
    let index = fixture.index().await;
    assert_eq!(index.created, 7);
    assert!(index.description.contains("up to 32"));
}

#[tokio::test]
async fn folders_that_hold_no_usable_model_are_refused_and_nothing_is_published() {
    let truncate = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    type Damage<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: [(&str, Damage<'_>); 7] = [
        ("tokenizer.json", Box::new(|folder| std::fs::remove_file(folder.join("tokenizer.json")).unwrap())),
        ("config.json", Box::new(|folder| std::fs::remove_file(folder.join("config.json")).unwrap())),
        (
            "model.safetensors",
            Box::new(|folder| std::fs::remove_file(folder.join("model.safetensors")).unwrap()),
        ),
        ("truncated", Box::new(|folder| truncate(&folder.join("model.safetensors")))),
        (
            "model.safetensors",
            Box::new(|folder| std::fs::write(folder.join("model.safetensors"), "").unwrap()),
        ),
        ("tokenizer", Box::new(|folder| truncate(&folder.join("tokenizer.json")))),
        (
            "not supported",
            Box::new(|folder| {
                std::fs::write(folder.join("config.json"), r#"{"architectures": ["MambaForCausalLM"]}"#)
                    .unwrap();
            }),
        ),
    ];
    for (part, damage) in cases {
        let fixture = Fixture::new();
        damage(&fixture.model());
        let error = fixture.publish(5).await.unwrap_err();
        assert!(matches!(error, LocalError::Model { .. }), "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert_eq!(fixture.store.list("", None, 10).await.unwrap().keys, Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_model_folder_is_published_under_its_name() {
    let fixture = Fixture::new();
    write_model(&fixture.folder.path().join("other-1.5"));
    std::fs::create_dir(fixture.folder.path().join("no model")).unwrap();
    let clock = ManualClock::new(5);
    publish_all(&fixture.store, fixture.folder.path(), &clock).await.unwrap();
    for name in ["tiny", "other-1.5"] {
        fixture.store.get(&format!("models/{name}/index.json")).await.unwrap();
    }
    write_model(&fixture.folder.path().join("bad name"));
    let error = publish_all(&fixture.store, fixture.folder.path(), &clock).await.unwrap_err();
    assert!(error.to_string().contains("1 to 96 letters"), "{error}");
    let missing = fixture.folder.path().join("missing");
    assert!(matches!(publish_all(&fixture.store, &missing, &clock).await, Err(LocalError::Io { .. })));
}
