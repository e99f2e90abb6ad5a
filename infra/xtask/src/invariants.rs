//! Which crate may depend on which: ARCHITECTURE.md's "Invariant:" lines about dependencies, read off cargo's own tree.

use crate::process::{Command, Failure};
use std::path::Path;

/// What one crate may never depend on, itself or by way of others.
pub(crate) struct Rule {
    /// The crate.
    pub(crate) package: &'static str,
    /// The only crates of this workspace that it may use.
    pub(crate) members: &'static [&'static str],
    /// Families of crates that it must not use: a name, or the beginning of one up to and with a dash.
    pub(crate) forbidden: &'static [&'static str],
}

/// Tensors and AWS, each a world of its own.
const TENSORS: [&str; 4] = ["candle", "candle-", "tokenizers", "safetensors"];
const AWS: [&str; 3] = ["aws-", "lambda_", "lambda-"];

/// The rules. `finetune` and `jobs` know nothing of each other: they meet in functions/finetune.
pub(crate) const RULES: [Rule; 9] = [
    Rule {
        package: "dp",
        members: &[],
        forbidden: &["candle", "candle-", "tokio", "tokio-", "aws-", "lambda_"],
    },
    Rule {
        package: "perturb",
        members: &["dp"],
        forbidden: &["candle", "candle-", "tokio", "tokio-", "aws-", "lambda_"],
    },
    Rule {
        package: "protocol",
        members: &["dp"],
        forbidden: &["candle", "candle-", "tokio", "tokio-", "aws-", "lambda_"],
    },
    Rule {
        package: "web-client",
        members: &["dp", "perturb", "protocol"],
        forbidden: &["candle", "candle-", "tokio", "tokio-", "aws-"],
    },
    Rule {
        package: "word2vec",
        members: &["dp"],
        forbidden: &["candle", "candle-", "tokio", "tokio-", "aws-", "lambda_"],
    },
    Rule { package: "kernels", members: &[], forbidden: &["candle", "candle-", "tokio", "gemm", "aws-"] },
    Rule { package: "finetune", members: &["dp", "perturb", "kernels"], forbidden: &AWS },
    Rule { package: "jobs", members: &["dp", "protocol"], forbidden: &TENSORS },
    Rule {
        package: "api-function",
        members: &["dp", "perturb", "protocol", "jobs"],
        // Nor on anything that unfolds: what a caller sends is never larger than it looks.
        forbidden: &["candle", "candle-", "flate2", "miniz_oxide", "zstd", "zstd-", "brotli", "brotli-"],
    },
];

/// What breaks `rule`, one sentence each. `tree` is the output of `cargo tree --prefix none`; `members` are the workspace's packages.
pub(crate) fn broken(rule: &Rule, tree: &str, members: &[String]) -> Vec<String> {
    let uses =
        tree.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != rule.package);
    let mut bad: Vec<&str> =
        uses.filter(|name| foreign(rule, name, members) || forbidden(rule, name)).collect();
    bad.sort_unstable();
    bad.dedup();
    bad.iter().map(|name| format!("`{}` depends on `{name}`, which it must not", rule.package)).collect()
}

fn foreign(rule: &Rule, name: &str, members: &[String]) -> bool {
    members.iter().any(|member| member == name) && !rule.members.contains(&name)
}

fn forbidden(rule: &Rule, name: &str) -> bool {
    rule.forbidden
        .iter()
        .any(|family| if family.ends_with(['-', '_']) { name.starts_with(family) } else { name == *family })
}

/// Checks every rule against cargo's tree of normal dependencies on every platform.
///
/// # Errors
/// When cargo cannot tell.
pub(crate) fn check(root: &Path, members: &[String]) -> Result<Vec<String>, Failure> {
    let mut problems = vec![];
    for rule in RULES.iter().filter(|rule| members.iter().any(|member| member == rule.package)) {
        let tree = tree(root, rule.package)?;
        problems.extend(broken(rule, &tree, members));
    }
    Ok(problems)
}

fn tree(root: &Path, package: &str) -> Result<String, Failure> {
    let output = Command::new(root, "cargo")
        .args([
            "tree",
            "--quiet",
            "--package",
            package,
            "--edges",
            "normal",
            "--target",
            "all",
            "--prefix",
            "none",
        ])
        .capture()?;
    if output.success {
        Ok(output.text)
    } else {
        Err(Failure::new(format!("cargo tree failed: {}", output.text.trim())))
    }
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
