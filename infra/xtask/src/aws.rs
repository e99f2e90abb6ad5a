//! `cargo xtask deploy`: builds what is deployed and hands over to infra/aws/deploy.py, which has the steps.

use crate::process::{Command, Failure};
use crate::{page, tools};
use std::path::{Path, PathBuf};

/// Deploys on AWS, or with `--emulated` among the words on an emulator on this machine.
///
/// # Errors
/// When a build or a step fails; its output is on the terminal.
pub(crate) fn deploy(root: &Path, words: &[String]) -> Result<(), Failure> {
    // The programs are the command line, and the functions that the emulator runs.
    page::build_with_programs(root, &[])?;
    let python = tools::python(root)?;
    let program = Command::new(root, python.join("python")).args(["infra/aws/deploy.py"]).args(words);
    let mut programs = vec![];
    if !words.iter().any(|word| word == "--emulated") {
        // First: cargo-lambda looks for Zig in the first Python of PATH.
        programs.push(tools::lambda_build(root)?);
    }
    programs.push(python);
    with_programs(program, &programs)?.run()
}

/// `command` with the programs of `folders` first in PATH.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the edge: PATH goes on to a child, nothing here depends on it"
)]
pub(crate) fn with_programs(command: Command, folders: &[PathBuf]) -> Result<Command, Failure> {
    let mut path = folders.to_vec();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path)
        .map_err(|error| Failure::new(format!("PATH cannot be extended: {error}")))?;
    Ok(command.env("PATH", path))
}
