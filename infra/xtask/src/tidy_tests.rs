use super::*;

#[test]
fn this_repository_is_tidy() {
    let problems = problems(&crate::workspace_root()).expect("the repository can be read");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn members_come_from_the_manifest() {
    assert_eq!(
        members("[workspace]\nmembers = [\n    \"crates/dp\",\n    \"infra/xtask\",\n]\n"),
        ["crates/dp", "infra/xtask"]
    );
    assert!(members("[workspace]\n").is_empty());
}

#[test]
fn a_member_that_the_code_map_forgets_is_named() {
    let text =
        invariants::RULES.map(|rule| format!("Invariant: `{}` …\n", rule.package)).concat() + "crates/dp";
    assert!(architecture(&text, &["crates/dp".into()]).is_empty());
    assert_eq!(
        architecture(&text, &["crates/jobs".into()]),
        ["ARCHITECTURE.md's code map does not name crates/jobs"]
    );
}

#[test]
fn a_member_within_another_shares_its_line() {
    let text =
        invariants::RULES.map(|rule| format!("Invariant: `{}` …\n", rule.package)).concat() + "web-client";
    let members = ["web-client", "web-client/browser-tests", "web-clients"].map(str::to_owned);
    assert_eq!(architecture(&text, &members), ["ARCHITECTURE.md's code map does not name web-clients"]);
}

#[test]
fn a_rule_without_its_line_is_named() {
    let problems =
        architecture("Invariant: `dp` stands alone.\nSo does `jobs`, though this line is no invariant.", &[]);
    assert_eq!(problems.len(), invariants::RULES.len() - 1, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.ends_with("`jobs`")));
}

#[test]
fn a_missing_architecture_is_one_problem() {
    assert_eq!(architecture("", &["crates/dp".into()]).len(), 1);
}

#[test]
fn a_processor_is_refused_but_may_be_spoken_of() {
    assert!(
        cargo_config("# a `target-cpu` here would crash\nrustflags = [\"-C\", \"target-feature=+simd128\"]")
            .is_none()
    );
    assert!(cargo_config("rustflags = [\"-C\", \"target-cpu=native\"]").is_some());
}

#[test]
fn only_the_audit_may_break_the_trainer() {
    let manifest = "finetune = { workspace = true, features = [\"audit\"] }\n";
    assert!(breakable("infra/audit", "audit", manifest).is_none());
    assert!(breakable("crates/dpft", "dpft", manifest).is_some());
    assert!(breakable("crates/dpft", "dpft", "finetune.workspace = true\n").is_none());
}

#[test]
fn lints_must_be_inherited() {
    assert!(without_lints("crates/dp", "[package]\nname = \"dp\"\n\n[lints]\nworkspace = true\n").is_none());
    assert!(without_lints("crates/dp", "[package]\nname = \"dp\"\n").is_some());
    assert!(
        without_lints("crates/dp", "[lints]\nrust.missing_docs = \"allow\"\n[x]\nworkspace = true\n")
            .is_some()
    );
}

#[test]
fn module_and_glue_must_agree() {
    let package = |name: &str, text: &str| (String::new(), name.to_owned(), text.to_owned());
    let module = package("web-client", "wasm-bindgen = \"=0.2.130\"\n");
    let same = package("bindgen", "wasm-bindgen-cli-support = \"=0.2.130\"\n");
    let other = package("bindgen", "wasm-bindgen-cli-support = \"=0.2.131\"\n");
    assert!(glue_version(&[module.clone(), same]).is_none());
    assert!(glue_version(&[module, other]).is_some());
}

#[test]
fn python_packages_are_pinned() {
    assert!(unpinned("a.txt", "# tools\nboto3==1.0.0\n\n").is_empty());
    let expected = ["a.txt does not pin boto3>=1.0.0", "a.txt does not pin ministack"];
    assert_eq!(unpinned("a.txt", "boto3>=1.0.0\nministack\n"), expected);
}
