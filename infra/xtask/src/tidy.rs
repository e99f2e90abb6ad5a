//! Checks of the repository itself: the "Invariant:" lines of ARCHITECTURE.md that a program can check, and its code map.
//!
//! Each check is a function of the text it judges, so that its tests can show it text that is wrong.

use crate::process::Failure;
use crate::tools::read;
use crate::{invariants, runbook, security};
use std::path::{Path, PathBuf};

/// Lines above which a module is reported: the longest that a reader takes in at one sitting.
const LONG_MODULE: usize = 300;

/// Python packages that are installed: each must be pinned.
const REQUIREMENTS: [&str; 4] = [
    "infra/aws/requirements.txt",
    "infra/aws/requirements-build.txt",
    "infra/aws/requirements-checkov.txt",
    "crates/finetune/fixtures/requirements.txt",
];

/// Everything that is wrong with the repository, one sentence each.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>, Failure> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let members = members(&manifest);
    let packages = packages(root, &members)?;
    let names: Vec<String> = packages.iter().map(|(_, name, _)| name.clone()).collect();
    let mut problems = invariants::check(root, &names)?;
    problems.extend(architecture(&read(&root.join("ARCHITECTURE.md")).unwrap_or_default(), &members));
    problems.extend(security::problems(root)?);
    problems.extend(cargo_config(&read(&root.join(".cargo/config.toml"))?));
    problems.extend(packages.iter().filter_map(|(folder, _, text)| without_lints(folder, text)));
    problems.extend(packages.iter().filter_map(|(folder, name, text)| breakable(folder, name, text)));
    problems.extend(glue_version(&packages));
    let (template, manual) = (read(&root.join("template.yaml"))?, read(&root.join("infra/aws/RUNBOOK.md"))?);
    problems.extend(runbook::alarms(&template, &manual));
    problems.extend(runbook::unexplained_skips(&read(&root.join("infra/aws/checkov.yaml"))?));
    for requirements in REQUIREMENTS {
        problems.extend(unpinned(requirements, &read(&root.join(requirements))?));
    }
    Ok(problems)
}

/// The workspace's folders, from its manifest.
pub(crate) fn members(manifest: &str) -> Vec<String> {
    let list = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(list, _)| list);
    list.split(',')
        .map(|entry| entry.trim().trim_matches('"').to_owned())
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// Folder, name and manifest of each package.
fn packages(root: &Path, members: &[String]) -> Result<Vec<(String, String, String)>, Failure> {
    let package = |folder: &String| {
        let text = read(&root.join(folder).join("Cargo.toml"))?;
        let name = value(&text, "name")
            .ok_or_else(|| Failure::new(format!("{folder}/Cargo.toml names no package")))?;
        Ok((folder.clone(), name, text))
    };
    members.iter().map(package).collect()
}

/// The string that `key` is set to, at its first appearance.
fn value(manifest: &str, key: &str) -> Option<String> {
    let setting = |line: &str| {
        line.split_once('=').filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    manifest.lines().find_map(setting).map(|value| value.trim_matches('"').to_owned())
}

/// ARCHITECTURE.md's code map names every member, and an "Invariant:" line names every crate that has a rule.
fn architecture(text: &str, members: &[String]) -> Vec<String> {
    if text.is_empty() {
        return vec!["ARCHITECTURE.md is missing or empty".into()];
    }
    // A member inside another's folder, such as the page's tests, belongs to that one's line.
    let mapped = |member: &str| {
        members.iter().any(|other| Path::new(member).starts_with(other) && text.contains(other.as_str()))
    };
    let unmapped = members.iter().filter(|member| !mapped(member));
    let unmapped = unmapped.map(|member| format!("ARCHITECTURE.md's code map does not name {member}"));
    let ruled = |rule: &invariants::Rule| {
        let name = format!("`{}`", rule.package);
        text.lines().any(|line| line.contains("Invariant:") && line.contains(&name))
    };
    let unruled = invariants::RULES.iter().filter(|rule| !ruled(rule));
    let unruled = unruled
        .map(|rule| format!("ARCHITECTURE.md has no \"Invariant:\" line that names `{}`", rule.package));
    unmapped.chain(unruled).collect()
}

/// Native code picks its instructions at run time: a `target-cpu` would crash on a host with an older processor.
fn cargo_config(text: &str) -> Option<String> {
    let setting =
        text.lines().map(str::trim).find(|line| !line.starts_with('#') && line.contains("target-cpu"));
    setting.map(|line| format!(".cargo/config.toml must not set a processor: {line}"))
}

fn without_lints(folder: &str, manifest: &str) -> Option<String> {
    let inherits = manifest
        .split_once("[lints]")
        .is_some_and(|(_, rest)| rest.trim_start().starts_with("workspace = true"));
    (!inherits).then(|| format!("{folder}/Cargo.toml does not inherit the workspace's lints"))
}

/// Only the audit may ask for a trainer whose mechanism can be replaced.
fn breakable(folder: &str, name: &str, manifest: &str) -> Option<String> {
    let asks = |line: &str| line.starts_with("finetune") && line.contains("\"audit\"");
    let asked = name != "audit" && manifest.lines().any(asks);
    asked.then(|| {
        format!("{folder}/Cargo.toml asks for finetune's feature `audit`, which only infra/audit may")
    })
}

/// The page's glue and its module must come from one version of wasm-bindgen.
fn glue_version(packages: &[(String, String, String)]) -> Option<String> {
    let of = |package: &str, key: &str| {
        packages.iter().find(|(_, name, _)| name == package).and_then(|(_, _, text)| value(text, key))
    };
    let (module, glue) = (of("web-client", "wasm-bindgen"), of("bindgen", "wasm-bindgen-cli-support"));
    (module != glue).then(|| {
        format!("web-client uses wasm-bindgen {module:?}, but infra/bindgen writes the glue of {glue:?}")
    })
}

fn unpinned(path: &str, requirements: &str) -> Vec<String> {
    let packages =
        requirements.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    packages.filter(|line| !line.contains("==")).map(|line| format!("{path} does not pin {line}")).collect()
}

/// A sentence for each module of production code above [`LONG_MODULE`] lines.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn long_modules(root: &Path) -> Result<Vec<String>, Failure> {
    let mut sources = vec![];
    for member in members(&read(&root.join("Cargo.toml"))?) {
        collect_sources(&root.join(member).join("src"), &mut sources)?;
    }
    let mut warnings = vec![];
    for path in sources {
        let lines = read(&path)?.lines().count();
        if lines > LONG_MODULE {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            warnings.push(format!("{name} has {lines} lines; above {LONG_MODULE} a module wants to be two"));
        }
    }
    Ok(warnings)
}

fn collect_sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect_sources(&path, found)?;
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tidy_tests.rs"]
mod tests;
