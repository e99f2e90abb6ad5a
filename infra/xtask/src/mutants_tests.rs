use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_guard_stands_in_the_source_once() {
    for mutant in &MUTANTS {
        let source = read(&root().join(mutant.file)).unwrap();
        let broken = mutated(mutant, &source).unwrap();
        assert_ne!(broken, source, "{}", mutant.name);
    }
}

#[test]
fn a_guard_that_is_gone_is_an_error() {
    assert!(mutated(&MUTANTS[0], "fn main() {}").is_err());
    assert!(mutated(&MUTANTS[0], &MUTANTS[0].guard.repeat(2)).is_err());
}

#[test]
fn the_reduced_manifest_has_the_members_alone() {
    let manifest = reduced(&read(&root().join("Cargo.toml")).unwrap());
    assert_eq!(crate::tidy::members(&manifest), MEMBERS);
    assert!(
        manifest.contains("[workspace.dependencies]") && !manifest.contains("\"crates/finetune\",\n    \"")
    );
}
