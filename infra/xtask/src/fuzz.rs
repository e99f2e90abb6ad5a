//! The stage `fuzz`: libFuzzer on each target of `fuzz/` for a few seconds, seeds and finds first.
//!
//! fuzz/.cargo/config.toml says what its programs are built with. Coverage is counted by passes that stable Rust takes (`-C passes`), so no other
//! toolchain is needed; a sanitizer would ask for one, and what it would watch, the unsafe code, the stage `kernels` watches.

use crate::counts::Counts;
use crate::process::{Command, Failure, Output};
use crate::tools;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How long each target runs. Longer runs find more; this one is for what a change broke just now.
const SECONDS: u32 = 10;
/// Targets that run at the same time.
const AT_ONCE: usize = 2;

/// Where its programs are built, as fuzz/.cargo/config.toml says.
fn folder(root: &Path) -> PathBuf {
    root.join("target/fuzz")
}

/// Runs the stage; true when nothing broke.
///
/// # Errors
/// When something cannot be installed, built or run.
pub(crate) fn run(root: &Path) -> Result<(bool, Counts), Failure> {
    let programs = build(root)?;
    let targets = targets(root)?;
    println!("{} targets, {SECONDS} s each, {AT_ONCE} at a time", targets.len());
    let waiting = Mutex::new(targets.iter().rev().collect::<Vec<_>>());
    let ends = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // A thread that panics fails the stage as the scope ends, so a poisoned lock is never read.
                while let Some(name) = waiting.lock().ok().and_then(|mut waiting| waiting.pop()) {
                    let ended = fuzz(root, &programs, name);
                    ends.lock().map(|mut ends| ends.push(ended)).unwrap_or_default();
                }
            });
        }
    });
    let ends = ends.into_inner().unwrap_or_default().into_iter().collect::<Result<Vec<bool>, Failure>>()?;
    let passed = ends.iter().filter(|&&held| held).count() as u64;
    Ok((passed == targets.len() as u64, Counts { passed, failed: targets.len() as u64 - passed }))
}

/// Builds all targets; gives the folder of their programs.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    tools::cpp_compiler(root)?;
    Command::new(&root.join("fuzz"), tools::cargo_fuzz(root)?)
        .args(["fuzz", "build", "--release", "--sanitizer", "none", "--features", "libfuzzer"])
        .env("CARGO_TARGET_DIR", folder(root))
        .run()?;
    let host = Command::new(root, "rustc").args(["--print", "host-tuple"]).capture()?;
    Ok(folder(root).join(host.text.trim()).join("release"))
}

/// The names of all targets, sorted.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("fuzz/fuzz_targets");
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let mut names = vec![];
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Runs one target and prints how it went; true when no input broke it.
fn fuzz(root: &Path, programs: &Path, name: &str) -> Result<bool, Failure> {
    let (corpus, artifacts) =
        (folder(root).join("corpus").join(name), folder(root).join("artifacts").join(name));
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    }
    let mut folders = vec![corpus, root.join("fuzz/seeds").join(name), root.join("fuzz/finds").join(name)];
    folders.retain(|folder| folder.exists());
    let output = Command::new(root, programs.join(name))
        .args([format!("-max_total_time={SECONDS}"), format!("-artifact_prefix={}/", artifacts.display())])
        // An input that takes longer is one that a stranger would send. Memory is bounded more narrowly by the targets.
        .args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"])
        .args(folders)
        .capture()?;
    println!("{}", report(name, &output));
    if !output.success {
        println!("{}", output.text);
        find(root, name, &output.text)?;
    }
    Ok(output.success)
}

/// One line about a run.
fn report(name: &str, output: &Output) -> String {
    let after = |mark: &str| {
        let rest = output.text.lines().find_map(|line| line.strip_prefix(mark));
        rest.map_or("?", |rest| rest.split_whitespace().next().unwrap_or("?"))
    };
    let how = if output.success { "ok    " } else { "FAILED" };
    format!("{how} {name:<16} {:>8} runs, seed {}", after("Done "), after("INFO: Seed: "))
}

/// Says where the input is that broke a target, what is in it, and how to run it again.
fn find(root: &Path, name: &str, output: &str) -> Result<(), Failure> {
    let Some(path) = written(output) else { return Ok(()) };
    let base64 = Command::new(root, "base64").args(["--wrap=0", path]).capture()?;
    println!("the input:  {path}");
    println!("in base64:  {}", base64.text.trim());
    println!(
        "once more:  cd fuzz && cargo fuzz run --release --sanitizer none --features libfuzzer {name} {path}\n\
         then keep:  cp {path} finds/{name}/WHAT_IT_SHOWS"
    );
    Ok(())
}

/// Where libFuzzer says that it wrote an input.
fn written(output: &str) -> Option<&str> {
    output.lines().rev().find_map(|line| Some(line.split_once("Test unit written to ")?.1.trim()))
}

#[cfg(test)]
#[path = "fuzz_tests.rs"]
mod tests;
