use serde_json::json;
use std::fs;
use std::path::Path;

use super::*;
use crate::fixtures::TinyModel;
use crate::model::BaseModel;

fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn single(folder: &Path) -> TinyModel {
    let tiny = TinyModel::new();
    let files = tiny.files();
    write(
        folder,
        &[
            (CONFIG_FILE, &files.config_json),
            (TOKENIZER_FILE, &files.tokenizer_json),
            (WEIGHTS_FILE, &files.weights[0].1),
        ],
    );
    tiny
}

#[test]
fn a_folder_with_one_weights_file_loads() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = single(folder.path());
    let files = ModelFiles::from_dir(folder.path()).unwrap();
    assert_eq!(files.sha256(), tiny.files().sha256());
    BaseModel::load(&files).unwrap();
}

#[test]
fn a_folder_with_shards_loads_as_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = single(folder.path());
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    let first = |name: &str| name.contains("layers.0");
    let map: serde_json::Map<_, _> = tiny
        .tensors
        .keys()
        .map(|n| (n.clone(), json!(if first(n) { "a.safetensors" } else { "b.safetensors" })))
        .collect();
    write(
        folder.path(),
        &[
            (WEIGHTS_INDEX_FILE, json!({"metadata": {}, "weight_map": map}).to_string().as_bytes()),
            ("a.safetensors", &tiny.weights(first)),
            ("b.safetensors", &tiny.weights(|name| !first(name))),
        ],
    );
    let model = BaseModel::load(&ModelFiles::from_dir(folder.path()).unwrap()).unwrap();
    assert_eq!(model.input_embeddings().unwrap(), tiny.load().input_embeddings().unwrap());

    fs::remove_file(folder.path().join("b.safetensors")).unwrap();
    let error = ModelFiles::from_dir(folder.path()).err().unwrap();
    assert!(matches!(&error, ModelError::MissingFile { file, .. } if file == "b.safetensors"), "{error}");
}

#[test]
fn each_missing_file_is_named() {
    for name in [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE] {
        let folder = tempfile::tempdir().unwrap();
        single(folder.path());
        fs::remove_file(folder.path().join(name)).unwrap();
        let error = ModelFiles::from_dir(folder.path()).err().unwrap();
        assert!(matches!(&error, ModelError::MissingFile { file, .. } if file == name), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_apart_from_a_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    single(folder.path());
    fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
    fs::create_dir(folder.path().join(CONFIG_FILE)).unwrap();
    assert!(matches!(ModelFiles::from_dir(folder.path()), Err(ModelError::Io { .. })));
}

#[test]
fn an_index_cannot_reach_outside_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    single(folder.path());
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    for name in ["../secret.safetensors", "/etc/x.safetensors", "config.json"] {
        let index = json!({"weight_map": {"a": name}}).to_string();
        write(folder.path(), &[(WEIGHTS_INDEX_FILE, index.as_bytes())]);
        assert!(matches!(ModelFiles::from_dir(folder.path()), Err(ModelError::Config { .. })), "{name}");
    }
    write(folder.path(), &[(WEIGHTS_INDEX_FILE, b"{}")]);
    assert!(matches!(ModelFiles::from_dir(folder.path()), Err(ModelError::Config { .. })));
}

#[test]
fn clones_share_the_weights_and_an_empty_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    single(folder.path());
    let files = ModelFiles::from_dir(folder.path()).unwrap();
    assert_eq!(files.clone().weights[0].1.as_ptr(), files.weights[0].1.as_ptr());
    drop(files);
    write(folder.path(), &[(WEIGHTS_FILE, b"")]);
    let error = BaseModel::load(&ModelFiles::from_dir(folder.path()).unwrap()).err().unwrap();
    assert!(matches!(error, ModelError::CorruptWeights { .. }), "{error}");
}
