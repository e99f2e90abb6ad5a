//! `cargo xtask`: everything that takes more than one cargo command, for people and for continuous integration alike.
//!
//! * [`arguments`]: what was asked for; [`stages`]: the stages of `test`, in order, and [`report`], their summary.
//! * [`tools`]: finds or installs what a stage needs and cargo does not bring; [`page`]: builds the page's WASM.
//! * [`mutants`]: whether the simulation notices when a guard is taken out; [`fuzz`]: libFuzzer on every parser.
//! * [`aws`]: builds what is deployed and calls infra/aws/deploy.py.
//! * [`invariants`], [`runbook`], [`security`] and [`tidy`]: ARCHITECTURE.md's "Invariant:" lines, and what else must agree, as checks.
//! * [`trainer`]: the trainer beside its peers, and [`trainer_table`], what that measured.
//! * [`fuzz`]: the stage that feeds the parsers; [`process`]: child processes; [`counts`]: how many tests their output reports.
//!
//! It depends on nothing but the standard library, so that a fresh checkout starts its first stage within seconds.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]

mod arguments;
mod aws;
mod counts;
mod fuzz;
mod invariants;
mod mutants;
mod page;
mod process;
mod report;
mod runbook;
mod security;
mod stages;
mod tidy;
mod tools;
mod trainer;
mod trainer_table;

use arguments::{Bench, Request};
use process::{Command, Failure};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How to use it.
const USAGE: &str = "\
cargo xtask demo [ARGS]         builds the command line, then runs `dpft demo`
cargo xtask serve [ARGS]        builds the page and the command line, then runs `dpft serve`
cargo xtask deploy [--emulated] [--stack-name NAME] [--parameter-overrides NAME=VALUE ...] [SAM ARGS]
                                deploys on AWS, or on an emulator of AWS on this machine until Ctrl-C
cargo xtask build-page          builds the page's WASM into web-client/site/pkg
cargo xtask bench noise | accountant      values per second of the noise; time of one query
cargo xtask bench audit [black-box] [--seeds N]   a lower bound on what training really spends
cargo xtask bench perturb                 tokens per second of the page in Chromium, beside TensorFlow.js (needs npm)
cargo xtask bench word2vec CORPUS EVALUATION_SETS [EPOCHS]    words per second and quality, beside gensim
cargo xtask bench trainer [--shape S|M] [--rounds N] [--steps N] [--peers-only] [--scaling]
                                samples per second of training, beside peft and Opacus
cargo xtask bench fan-out [--model-only]  a job on several workers: measured here, and a model of it on Lambda
cargo xtask bench load [--emulated] [--scale X]   uploads, jobs and polls in great number, and what is lost
cargo xtask bench channel …               training on perturbed text: see docs/channel-aware-training.md
cargo xtask test [--only STAGE]... [--skip STAGE]...
                                sets up what is missing, then runs every test; `cargo xtask stages` names the stages
";

fn main() -> ExitCode {
    let root = workspace_root();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = arguments::parse(&words).map_err(Failure::new).and_then(|request| perform(&root, request));
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(root: &Path, request: Request) -> Result<ExitCode, Failure> {
    match request {
        Request::Help => println!("{USAGE}"),
        Request::Stages => {
            stages::STAGES.iter().for_each(|stage| println!("{:<11} {}", stage.name, stage.purpose))
        }
        Request::BuildPage => page::build(root)?,
        Request::Demo(rest) => command_line(root, "demo", &rest)?,
        Request::Serve(rest) => {
            page::build(root)?;
            command_line(root, "serve", &rest)?;
        }
        Request::Deploy(rest) => aws::deploy(root, &rest)?,
        Request::Bench(bench, rest) => run_bench(root, bench, &rest)?,
        Request::Test(selection) => return Ok(stages::run(root, &selection)),
    }
    Ok(ExitCode::SUCCESS)
}

fn command_line(root: &Path, command: &str, rest: &[String]) -> Result<(), Failure> {
    Command::new(root, "cargo")
        .args(["run", "--release", "--package", "dpft", "--", command])
        .args(rest)
        .run()
}

fn run_bench(root: &Path, bench: Bench, rest: &[String]) -> Result<(), Failure> {
    let cargo = Command::new(root, "cargo");
    match bench {
        Bench::Noise => cargo.args(["bench", "--package", "dp", "--bench", "noise", "--"]).args(rest),
        Bench::Accountant => {
            cargo.args(["bench", "--package", "dp", "--bench", "accountant", "--"]).args(rest)
        }
        Bench::Audit => cargo.args(["run", "--release", "--package", "audit", "--"]).args(rest),
        Bench::Perturb => {
            tools::chromium(root)?;
            page::build_with_programs(root, &["--example", "perturb_speed"])?;
            let program = root.join("target/release/examples/perturb_speed");
            Command::new(root, program).args([tools::tensorflow_js(root)?]).args(rest)
        }
        Bench::Word2vec => return word2vec_bench(root, rest),
        Bench::Trainer => return trainer::bench(root, rest),
        Bench::FanOut => service_bench(root, "infra/bench/fan_out.py", &[])?.args(rest),
        Bench::Load => {
            let hello = ["target/release/examples/hello"];
            let load = service_bench(root, "infra/bench/load.py", &hello)?.args(rest);
            aws::with_programs(load, &[tools::python(root)?])?
        }
        Bench::Channel => cargo.args(["run", "--release", "--package", "channel-study", "--"]).args(rest),
    }
    .run()
}

/// A script that runs the command line and the programs of `more`, all built.
fn service_bench(root: &Path, script: &str, more: &[&str]) -> Result<Command, Failure> {
    page::build_with_programs(root, &["--example", "hello"])?;
    let python = tools::python(root)?.join("python");
    Ok(Command::new(root, python).args([script, "target/release/dpft"]).args(more))
}

/// Ours and gensim, one after the other on the same text with two threads each.
fn word2vec_bench(root: &Path, rest: &[String]) -> Result<(), Failure> {
    let [corpus, sets, epochs @ ..] = rest else {
        return Err(Failure::new(
            "`bench word2vec` needs a text8-like corpus and a folder of evaluation sets",
        ));
    };
    let epochs = epochs.first().map_or("5", String::as_str);
    let ours = ["run", "--release", "--package", "word2vec", "--example", "compare", "--"];
    let arguments = [corpus, epochs, "2", sets];
    Command::new(root, "cargo").args(ours).args(arguments).run()?;
    let peer = "crates/word2vec/examples/gensim_peer.py";
    Command::new(root, tools::gensim(root)?).args([peer]).args(arguments).run()
}

/// The folder that holds the workspace's Cargo.toml.
fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The crate lies in infra/xtask, so it has a grandparent.
    here.ancestors().nth(2).expect("infra/xtask lies two folders below the root").to_owned()
}
