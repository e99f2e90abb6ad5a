use super::*;
use crate::args::{Cli, Command};
use clap::Parser as _;
use std::path::PathBuf;

/// An adapter folder made by `finetune` on a tiny text, signed.
fn adapter(folder: &Path) -> PathBuf {
    let (data, key, out) = (folder.join("text.txt"), folder.join("key"), folder.join("adapter"));
    std::fs::write(&data, "The cat sat.\nA dog came by.\nThey played.\nIt was night.\n").unwrap();
    std::fs::write(&key, "07".repeat(32)).unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    let words = ["dpft", "finetune", "--steps", "2", "--rank", "1", "--max-length", "8", "--batch-size", "2"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    for (flag, path) in [("--model", &model), ("--data", &data), ("--out", &out), ("--signing-key", &key)] {
        words.extend([flag.to_owned(), path.display().to_string()]);
    }
    crate::commands::run(Cli::parse_from(words).command).unwrap();
    out.join("privacy.json")
}

fn check(certificate: &Path, more: &[&str]) -> Result<(), String> {
    let path = certificate.display().to_string();
    let words = ["dpft", "verify", &path].into_iter().chain(more.iter().copied());
    let Command::Verify(args) = Cli::parse_from(words).command else { panic!("another command") };
    run(args).map_err(|error| show::error(&error))
}

#[test]
fn a_certificate_holds_until_anything_changes() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = adapter(folder.path());
    let data = folder.path().join("text.txt").display().to_string();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo-llama-4m");
    let key = protocol::signature::CertificateKey::from_bytes([7; 32]).public_key();
    assert_eq!(check(&certificate, &[]), Ok(()));
    assert_eq!(
        check(&certificate, &["--public-key", &key, "--data", &data, "--model", model, "--json"]),
        Ok(())
    );

    let other = "ab".repeat(32);
    assert!(check(&certificate, &["--public-key", &other]).unwrap_err().contains("another key"));
    assert!(check(&certificate, &["--data", model]).is_err(), "a folder is no training file");
    let weights = certificate.with_file_name("adapter_model.safetensors");
    let good = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, b"other weights").unwrap();
    assert!(check(&certificate, &[]).unwrap_err().contains("adapter_model.safetensors is not the file"));
    std::fs::write(&weights, good).unwrap();

    let text = std::fs::read_to_string(&certificate).unwrap();
    std::fs::write(&certificate, text.replace("\"steps\": 2", "\"steps\": 1")).unwrap();
    let error = check(&certificate, &[]).unwrap_err();
    assert!(error.contains("changed after it was signed"), "{error}");
    std::fs::write(&certificate, "{}").unwrap();
    assert!(check(&certificate, &[]).unwrap_err().contains("not a certificate"));
}
