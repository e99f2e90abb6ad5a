use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const PROSE: &str = "The river rises in the hills and runs through three small towns before it meets the sea near the old harbour.";

fn write_gz(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

#[test]
fn every_source_is_read_with_its_weight() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_gz(
        &at("wiki_articles_30m.jsonl.gz"),
        &format!("{{\"title\": \"R\", \"text\": \"{PROSE}\\n{PROSE}\"}}\n"),
    );
    let wikitext = format!(" = A = \n {PROSE} \n = = B = = \n {PROSE} \n = C = \n {PROSE} \n");
    write_gz(&at("wikitext2_train.txt.gz"), &wikitext);
    write_gz(
        &at("gsm8k/train.jsonl.gz"),
        "{\"question\": \"One  and one?\", \"answer\": \"<<1+1=2>>2.\\n#### 2\"}\n\n",
    );
    std::fs::write(at("tinystories_sample.txt"), "Once upon a time.\n\nHe ran.\n\nOne day, it rained.\n")
        .unwrap();
    let found = read(folder.path()).unwrap();
    let expected = [
        (format!("{PROSE}\n{PROSE}"), 1),
        (format!("{PROSE}\n{PROSE}"), 1),
        (PROSE.to_owned(), 1),
        ("One and one?\n2.".to_owned(), 2),
        ("Once upon a time.\nHe ran.".to_owned(), 3),
        ("One day, it rained.".to_owned(), 3),
    ];
    assert_eq!(found, expected.map(|(text, copies)| Document { text, copies }));
}

#[test]
fn an_empty_folder_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("wikitext2_train.txt.gz"), "{error}");
}

#[test]
fn damaged_files_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gsm8k/train.jsonl.gz");
    write_gz(&path, "{\"question\": \"?\", \"answer\": \"!\"}\n{\"question\": 1}\n");
    let error = format!("{:#}", read(folder.path()).unwrap_err());
    assert!(error.contains("gsm8k") && error.contains("line 2"), "{error}");
    std::fs::write(&path, "not gzip").unwrap();
    let error = format!("{:#}", read(folder.path()).unwrap_err());
    assert!(error.contains("cannot read") && error.contains("gsm8k"), "{error}");
}
