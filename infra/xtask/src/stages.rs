//! The stages of `cargo xtask test`: quick and telling ones first, those that need other programs last.

use crate::arguments::Selection;
use crate::counts::Counts;
use crate::process::{Command, Failure};
use crate::report::{Line, summary, total};
use crate::{aws, fuzz, mutants, page, tidy, tools};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// One stage.
pub(crate) struct Stage {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) purpose: &'static str,
    run: fn(&Path) -> Result<Ended, Failure>,
}

/// A stage that ran to its end: whether it succeeded, and the tests it counted.
struct Ended {
    success: bool,
    counts: Counts,
}

/// All stages, in order.
pub(crate) const STAGES: [Stage; 14] = [
    Stage { name: "fmt", purpose: "the code is formatted", run: fmt },
    Stage { name: "tidy", purpose: "ARCHITECTURE.md's invariants hold", run: tidy_stage },
    Stage { name: "clippy", purpose: "no warnings, in tests neither", run: clippy },
    Stage { name: "test", purpose: "unit, integration and documentation tests", run: test },
    Stage {
        name: "simulation",
        purpose: "the whole service under faults, 10,000 seeds; and without each of its guards",
        run: simulation,
    },
    Stage {
        name: "kernels",
        purpose: "the trainer's kernels on arm64 (emulated), and every access to memory checked",
        run: kernels,
    },
    Stage { name: "wasm", purpose: "dp, perturb and protocol build for the browser", run: wasm },
    Stage {
        name: "deny",
        purpose: "dependencies: licences, sources, bans, known vulnerabilities",
        run: deny,
    },
    Stage { name: "fuzz", purpose: "parsers of outside bytes, on inputs that libFuzzer makes up", run: fuzz },
    Stage { name: "browser", purpose: "the page, in Chromium, against the real service", run: browser },
    Stage { name: "openai", purpose: "OpenAI's own Python client against the real service", run: openai },
    Stage {
        name: "conformance",
        purpose: "the store on S3 and the queue on SQS, against an emulator of AWS",
        run: conformance,
    },
    Stage { name: "template", purpose: "template.yaml, linted as written and as deployed", run: template },
    Stage { name: "deploy", purpose: "a real deployment, on an emulator of AWS", run: deploy },
];

/// Runs the selected stages, all of them even when one fails, and prints the summary.
pub(crate) fn run(root: &Path, selection: &Selection) -> ExitCode {
    let lines: Vec<Line> =
        STAGES.iter().filter(|stage| selection.holds(stage.name)).map(|stage| run_one(root, stage)).collect();
    println!("{}", summary(&lines));
    if total(&lines).failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the edge: how long a stage took is for a person, and decides nothing"
)]
fn run_one(root: &Path, stage: &Stage) -> Line {
    println!("\n== {}: {}", stage.name, stage.purpose);
    let start = Instant::now();
    let (success, counts, failure) = match (stage.run)(root) {
        Ok(Ended { success: true, counts }) => (true, counts, None),
        Ok(Ended { success: false, counts }) => (false, counts, Some("see above".to_owned())),
        Err(failure) => (false, Counts::default(), Some(failure.to_string())),
    };
    let took = start.elapsed();
    println!(
        "== {}: {} after {:.1} s",
        stage.name,
        if success { "ok" } else { "FAILED" },
        took.as_secs_f64()
    );
    Line { name: stage.name, counts: counts.verdict(success), failure, took }
}

/// A stage that only succeeds or fails.
fn simple(command: Command) -> Result<Ended, Failure> {
    command.run().map(|()| Ended { success: true, counts: Counts::default() })
}

/// A stage whose output reports tests.
fn counted(command: Command) -> Result<Ended, Failure> {
    let output = command.watch()?;
    Ok(Ended { success: output.success, counts: Counts::read(&output.text) })
}

/// Every native build names the whole workspace, so that all share one set of features and each dependency is compiled once.
fn cargo(root: &Path, arguments: &[&str]) -> Command {
    Command::new(root, "cargo").args(arguments)
}

fn fmt(root: &Path) -> Result<Ended, Failure> {
    tools::component(root, "rustfmt")?;
    simple(cargo(root, &["fmt", "--all", "--check"]))
}

fn tidy_stage(root: &Path) -> Result<Ended, Failure> {
    for warning in tidy::long_modules(root)? {
        println!("warning: {warning}");
    }
    let problems = tidy::problems(root)?;
    problems.iter().for_each(|problem| println!("error: {problem}"));
    Ok(Ended { success: problems.is_empty(), counts: Counts { passed: 0, failed: problems.len() as u64 } })
}

fn clippy(root: &Path) -> Result<Ended, Failure> {
    tools::component(root, "clippy")?;
    simple(cargo(root, &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn test(root: &Path) -> Result<Ended, Failure> {
    counted(cargo(root, &["test", "--release", "--workspace", "--no-fail-fast"]))
}

/// The folder of all programs. Built together with the tests: without them, cargo leaves out the features that only tests ask for, and compiles
/// everything above anew.
fn programs(root: &Path) -> Result<PathBuf, Failure> {
    cargo(root, &["build", "--release", "--workspace", "--bins", "--tests"]).run()?;
    Ok(root.join("target/release"))
}

fn simulation(root: &Path) -> Result<Ended, Failure> {
    // It prints the seeds that failed, and how to run them again.
    Command::new(root, programs(root)?.join("simulation")).args(["--seeds", "10000"]).run()?;
    let mut counts = mutants::run(root)?;
    let success = counts.failed == 0;
    counts.passed += 1;
    Ok(Ended { success, counts })
}

fn kernels(root: &Path) -> Result<Ended, Failure> {
    const ARM64: &str = "aarch64-unknown-linux-musl";
    tools::rust_target(root, ARM64)?;
    tools::emulator_and_valgrind(root)?;
    let tests = ["test", "--release", "--package", "kernels", "--lib"];
    // Rust's own linker and C library: no cross compiler is needed.
    let arm64 = cargo(root, &tests)
        .args(["--target", ARM64])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER", tools::ARM64_EMULATOR);
    let arm64 = counted(arm64)?;
    // valgrind shows programs a processor without AVX-512: it checks the plain and the AVX2 tiles.
    let checked = cargo(root, &tests)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "valgrind --quiet --error-exitcode=9")
        .args(["--", "--test-threads", "1", "matmul", "panels"]);
    let checked = counted(checked)?;
    Ok(Ended { success: arm64.success && checked.success, counts: arm64.counts.plus(checked.counts) })
}

fn wasm(root: &Path) -> Result<Ended, Failure> {
    page::build_wasm(root)?;
    Ok(Ended { success: true, counts: Counts::default() })
}

fn deny(root: &Path) -> Result<Ended, Failure> {
    let program = tools::cargo_deny(root)?;
    Command::new(root, &program)
        .args(["--log-level", "error", "check", "bans", "licenses", "sources"])
        .run()?;
    let advisories = Command::new(root, &program).args(["check", "advisories"]).capture()?;
    if advisories.text.contains("failed to fetch advisory database") {
        println!(
            "skipped: known vulnerabilities, for the RustSec database on github.com cannot be reached from here"
        );
    } else {
        println!("{}", advisories.text);
    }
    let unreachable = advisories.text.contains("failed to fetch advisory database");
    Ok(Ended { success: advisories.success || unreachable, counts: Counts::default() })
}

fn fuzz(root: &Path) -> Result<Ended, Failure> {
    fuzz::run(root).map(|(success, counts)| Ended { success, counts })
}

fn browser(root: &Path) -> Result<Ended, Failure> {
    tools::chromium(root)?;
    programs(root)?;
    page::build_after_programs(root)?;
    counted(cargo(
        root,
        &["test", "--release", "--workspace", "--test", "page", "--", "--ignored", "--test-threads", "1"],
    ))
}

fn openai(root: &Path) -> Result<Ended, Failure> {
    tests_with_python(root, "the_official_client")
}

fn conformance(root: &Path) -> Result<Ended, Failure> {
    tests_with_python(root, "ministack_tests")
}

/// The ignored unit tests whose names hold `name`, with an interpreter that has all packages.
fn tests_with_python(root: &Path, name: &str) -> Result<Ended, Failure> {
    let programs = tools::python(root)?;
    let test = cargo(root, &["test", "--release", "--workspace", "--lib", "--", "--ignored", name]);
    counted(test.env("DPFT_PYTHON", programs.join("python")))
}

fn template(root: &Path) -> Result<Ended, Failure> {
    let lint = Command::new(root, "infra/aws/lint.sh").env("CHECKOV", tools::checkov(root)?);
    simple(aws::with_programs(lint, &[tools::python(root)?])?)
}

fn deploy(root: &Path) -> Result<Ended, Failure> {
    programs(root)?;
    let tools = tools::python(root)?;
    let test = Command::new(root, tools.join("python")).args(["infra/aws/test_deploy.py"]);
    counted(aws::with_programs(test, &[tools])?)
}
