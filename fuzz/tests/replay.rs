//! Every seed and every find, through its target, without libFuzzer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The entries of a folder, by name; none if there is no folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stems(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries(&root().join(folder)).into_iter().map(stem).collect()
}

/// Runs all files of a target in `folder`, and says which one broke it.
fn replay(folder: &str) {
    for (name, run) in TARGETS {
        for path in entries(&root().join(folder).join(name)) {
            let input = std::fs::read(&path).unwrap();
            let held = std::panic::catch_unwind(|| run(&input)).is_ok();
            assert!(held, "{} breaks the target {name}", path.display());
        }
    }
}

#[test]
fn no_seed_breaks_its_target() {
    replay("seeds");
}

#[test]
fn no_find_breaks_its_target_again() {
    replay("finds");
}

#[test]
fn an_empty_input_and_a_few_bytes_break_no_target() {
    for (_, run) in TARGETS {
        run(b"");
        (0..=255_u8).for_each(|byte| run(&[byte]));
        run(&[0xFF; 9]);
    }
}

#[test]
fn the_seeds_are_those_that_the_code_writes() {
    for (target, seeds) in fuzz::seeds::all() {
        let stored = entries(&root().join("seeds").join(target));
        let names: BTreeSet<String> = seeds.iter().map(|(name, _)| name.clone()).collect();
        let found: BTreeSet<String> =
            stored.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(found, names, "{target}: run `cargo run --release --package fuzz --example write_seeds`");
        for (name, bytes) in seeds {
            let stored = std::fs::read(root().join("seeds").join(target).join(&name)).unwrap();
            assert!(
                stored == bytes,
                "{target}/{name}: run `cargo run --release --package fuzz --example write_seeds`"
            );
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("seeds"), names);
    assert!(stems("finds").is_subset(&names));
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "Cargo.toml lacks {name}");
    }
}
