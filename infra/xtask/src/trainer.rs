//! `bench trainer`: our trainer beside peft (not private) and peft with Opacus, on the same shapes.
//!
//! Every measurement is a process of its own, so that its peak memory is its own. A round runs each contender
//! once, one after the other; speeds are compared within a round.

use crate::process::{Command, Failure};
use crate::tools;
use crate::trainer_table::{Measured, Run, table};
use std::path::{Path, PathBuf};

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// `S`, `M` or both.
    shapes: Vec<String>,
    rounds: usize,
    steps: usize,
    peers_only: bool,
    scaling: bool,
}

/// The numbers of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    shape: String,
    batch: usize,
    length: usize,
    rank: usize,
}

/// One line of a table: its name and the arguments that choose it.
struct Contender {
    name: &'static str,
    ours: bool,
    arguments: &'static [&'static str],
}

const fn ours(name: &'static str, arguments: &'static [&'static str]) -> Contender {
    Contender { name, ours: true, arguments }
}

const fn peer(name: &'static str, arguments: &'static [&'static str]) -> Contender {
    Contender { name, ours: false, arguments }
}

/// Ours, the peers in the settings that trainer_peer.py gives reasons for, and these with MKL's own choice.
const ALL: [Contender; 10] = [
    ours("ours, f32", &["--precision", "f32", "--isa", "auto"]),
    peer("Opacus", &["--mode", "opacus", "--avx512"]),
    ours("ours, bf16", &["--precision", "bf16", "--isa", "auto"]),
    peer("peft", &["--mode", "peft", "--avx512"]),
    ours("ours, f32, AVX2", &["--precision", "f32", "--isa", "avx2"]),
    peer("peft, bf16", &["--mode", "peft-bf16", "--avx512"]),
    peer("Opacus, expanded weights", &["--mode", "opacus-ew", "--avx512"]),
    peer("Opacus, bf16", &["--mode", "opacus-bf16", "--avx512"]),
    peer("Opacus, MKL as it chooses", &["--mode", "opacus"]),
    peer("peft, MKL as it chooses", &["--mode", "peft"]),
];

/// The contenders of `--scaling`.
const SCALING: [Contender; 2] = [
    ours("ours, f32", &["--precision", "f32", "--isa", "auto"]),
    peer("Opacus", &["--mode", "opacus", "--avx512"]),
];

/// Runs it and prints the tables.
///
/// # Errors
/// When an argument is wrong, something cannot be installed or built, or a contender fails.
pub(crate) fn bench(root: &Path, words: &[String]) -> Result<(), Failure> {
    let options = parse(words).map_err(Failure::new)?;
    let programs = Programs {
        root,
        python: tools::trainer_peers(root)?,
        trainer: if options.peers_only { None } else { Some(build(root)?) },
    };
    let all: &[Contender] = if options.scaling { &SCALING } else { &ALL };
    let contenders: Vec<&Contender> = all.iter().filter(|one| !(one.ours && options.peers_only)).collect();
    let mut tables = String::new();
    for setting in options.shapes.iter().flat_map(|shape| settings(shape, options.scaling)) {
        let measured = measure(&programs, &contenders, &setting, &options)?;
        tables += &table(&setting.title(&options), &measured);
    }
    println!("{tables}");
    Ok(())
}

/// Where the contenders' programs are.
struct Programs<'a> {
    root: &'a Path,
    python: PathBuf,
    /// Only where ours take part.
    trainer: Option<PathBuf>,
}

/// Builds our trainer's example.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    // With the whole workspace, so that nothing is built twice for other features.
    let arguments = ["build", "--release", "--workspace", "--example", "trainer"];
    Command::new(root, "cargo").args(arguments).run()?;
    Ok(root.join("target/release/examples/trainer"))
}

/// Every contender once a round, one after the other.
fn measure(
    programs: &Programs<'_>,
    contenders: &[&Contender],
    setting: &Setting,
    options: &Options,
) -> Result<Vec<Measured>, Failure> {
    let name = |one: &&Contender| Measured { name: one.name.to_owned(), ours: one.ours, runs: vec![] };
    let mut all: Vec<Measured> = contenders.iter().map(name).collect();
    for _ in 0..options.rounds {
        for (contender, measured) in contenders.iter().zip(&mut all) {
            measured.runs.push(run(programs, contender, setting, options.steps)?);
        }
    }
    Ok(all)
}

fn run(
    programs: &Programs<'_>,
    contender: &Contender,
    setting: &Setting,
    steps: usize,
) -> Result<Run, Failure> {
    let command = match &programs.trainer {
        Some(trainer) if contender.ours => Command::new(programs.root, trainer),
        _ => Command::new(programs.root, &programs.python).args(["crates/finetune/examples/trainer_peer.py"]),
    };
    let output = command.args(contender.arguments).args(setting.arguments(steps)).watch()?;
    match Run::read(&output.text) {
        Some(run) if output.success => Ok(run),
        _ => Err(Failure::new(format!("{} gave no measurement; its output is above", contender.name))),
    }
}

impl Setting {
    fn arguments(&self, steps: usize) -> Vec<String> {
        let numbers =
            [("--batch", self.batch), ("--length", self.length), ("--rank", self.rank), ("--steps", steps)];
        let numbers = numbers.into_iter().flat_map(|(flag, number)| [flag.to_owned(), number.to_string()]);
        ["--shape".to_owned(), self.shape.clone()].into_iter().chain(numbers).collect()
    }

    fn title(&self, options: &Options) -> String {
        let Self { shape, batch, length, rank } = self;
        let Options { rounds, steps, .. } = options;
        format!(
            "Shape {shape}, batch {batch}, length {length}, rank {rank}; {rounds} rounds of {steps} steps"
        )
    }
}

/// What is measured of a shape: its usual numbers, or these with one of them changed at a time.
fn settings(shape: &str, scaling: bool) -> Vec<Setting> {
    let usual =
        Setting { shape: shape.to_owned(), batch: if shape == "S" { 16 } else { 8 }, length: 128, rank: 8 };
    let mut all = vec![usual.clone()];
    if scaling {
        all.extend([1, 4, 64].map(|batch| Setting { batch, ..usual.clone() }));
        all.extend([32, 512].map(|length| Setting { length, ..usual.clone() }));
        all.extend([2, 32, 64].map(|rank| Setting { rank, ..usual.clone() }));
    }
    all
}

fn parse(words: &[String]) -> Result<Options, String> {
    let both = || vec!["S".to_owned(), "M".to_owned()];
    let mut options = Options { shapes: both(), rounds: 3, steps: 5, peers_only: false, scaling: false };
    let mut words = words.iter();
    while let Some(flag) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--shape" => options.shapes = vec![shape(value()?)?],
            "--rounds" => options.rounds = positive(flag, value()?)?,
            "--steps" => options.steps = positive(flag, value()?)?,
            "--peers-only" => options.peers_only = true,
            "--scaling" => options.scaling = true,
            other => {
                let known = "--shape, --rounds, --steps, --peers-only and --scaling";
                return Err(format!("`bench trainer` takes {known}, not `{other}`"));
            }
        }
    }
    Ok(options)
}

fn shape(word: &str) -> Result<String, String> {
    if word == "S" || word == "M" {
        Ok(word.to_owned())
    } else {
        Err(format!("--shape is S or M, not `{word}`"))
    }
}

fn positive(flag: &str, word: &str) -> Result<usize, String> {
    let number = word.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("{flag} needs a number above 0, not `{word}`"))
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
