use super::*;

const CRASH: &str =
    "INFO: Seed: 1234\n#2 INITED\nartifact_prefix='/a/'; Test unit written to /a/crash-00\nBase64: AA==\n";

fn output(success: bool, text: &str) -> Output {
    Output { success, text: text.to_owned() }
}

#[test]
fn a_run_is_told_in_one_line() {
    let text = "INFO: Seed: 77\n#9 DONE\nDone 4711 runs in 10 second(s)\n";
    assert_eq!(report("text", &output(true, text)), "ok     text                 4711 runs, seed 77");
    assert!(
        report("text", &output(false, CRASH)).starts_with("FAILED text                    ? runs, seed 1234")
    );
}

#[test]
fn the_input_that_broke_a_target_is_found() {
    assert_eq!(written(CRASH), Some("/a/crash-00"));
    assert_eq!(written("Done 3 runs in 1 second(s)"), None);
}

#[test]
fn every_program_of_the_package_is_a_target() {
    let root = crate::workspace_root();
    let manifest = tools::read(&root.join("fuzz/Cargo.toml")).unwrap();
    let names = targets(&root).unwrap();
    assert!(names.len() > 10, "{names:?}");
    assert_eq!(manifest.matches("[[bin]]").count(), names.len());
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
