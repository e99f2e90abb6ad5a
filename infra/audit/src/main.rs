//! Audits the trainer and its broken doubles, prints what was found, and fails if a verdict is not the right one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use audit::finding::Finding;
use audit::{AuditError, black_box, white_box};
use clap::{Parser, Subcommand};
use finetune::{BaseModel, ModelFiles};

/// Measures a lower bound on the epsilon that training really spends, and compares it with the claim.
#[derive(Parser)]
#[command(name = "audit")]
struct Cli {
    /// Runs of each trainer; seeds 1, 2, … decide coins, batches and noise.
    #[arg(long, default_value_t = 5, global = true)]
    seeds: u64,
    /// Worker threads [default: one a core].
    #[arg(long, global = true)]
    threads: Option<usize>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Every step's release is seen: the accountant's own adversary (the default).
    WhiteBox,
    /// Only the trained adapter is seen, on a real model.
    BlackBox {
        /// Model folder.
        #[arg(long, default_value = "models/demo-llama-4m")]
        model: PathBuf,
    },
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let threads = match cli.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism()?.get(),
    };
    let right = match &cli.command {
        None | Some(Command::WhiteBox) => white_box(cli.seeds, threads)?,
        Some(Command::BlackBox { model }) => black_box(cli.seeds, threads, model)?,
    };
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a row for each trainer and seed; true if every verdict is right.
fn white_box(seeds: u64, threads: usize) -> Result<bool> {
    let setting = white_box::Setting::default();
    let plan = setting.plan()?;
    heading(&format!(
        "white box: {} canaries among {} records, {} steps, q = {:.4}, noise multiplier {:.3}, delta {}",
        setting.canaries,
        setting.records,
        plan.steps(),
        plan.sampling_rate(),
        plan.noise_multiplier(),
        plan.delta(),
    ));
    let mut right = true;
    for case in setting.cases()? {
        let run = |seed| white_box::audit(case.subject, &case.plan, setting.canaries, seed);
        let findings = on_threads(seeds, threads, run)?;
        right &= print_rows(case.name, case.broken, &findings);
    }
    Ok(right)
}

fn black_box(seeds: u64, threads: usize, folder: &Path) -> Result<bool> {
    let files = ModelFiles::from_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let model = Arc::new(BaseModel::load(&files)?);
    let setting = black_box::Setting { threads, ..black_box::Setting::default() };
    let plan = setting.plan()?;
    heading(&format!(
        "black box: {} canaries of {} random tokens, {} steps, q = {:.2}, noise multiplier {:.3}, delta {}",
        setting.canaries,
        setting.tokens,
        plan.steps(),
        plan.sampling_rate(),
        plan.noise_multiplier(),
        plan.delta(),
    ));
    let mut right = true;
    for (name, private) in [("honest", true), ("no privacy", false)] {
        let findings = (1..=seeds).map(|seed| black_box::audit(&model, &setting, private, seed));
        right &= print_rows(name, !private, &findings.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(right)
}

/// The findings of seeds 1, 2, … in order, `threads` at a time.
fn on_threads(
    seeds: u64,
    threads: usize,
    run: impl Fn(u64) -> Result<Finding, AuditError> + Sync,
) -> Result<Vec<Finding>> {
    let mut findings = vec![];
    let seeds: Vec<u64> = (1..=seeds).collect();
    let run = &run;
    for group in seeds.chunks(threads) {
        findings.extend(std::thread::scope(|scope| {
            let workers: Vec<_> = group.iter().map(|&seed| scope.spawn(move || run(seed))).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?);
    }
    Ok(findings)
}

// A benchmark's table is its result.
#[allow(clippy::print_stdout)]
fn heading(text: &str) {
    println!("{text}\n");
    println!("| trainer | seed | claimed ε | audited ε ≥ (95 %) | best attack | right guesses | verdict |");
    println!("|---|--:|--:|--:|---|--:|---|");
}

#[allow(clippy::print_stdout)]
fn print_rows(name: &str, broken: bool, findings: &[Finding]) -> bool {
    let mut right = true;
    for (index, finding) in findings.iter().enumerate() {
        let Finding { claim, bound, look } = finding;
        let (attack, counts) = look.map_or_else(Default::default, |look| {
            let share = (100.0 * look.share).round();
            (
                format!("{} at {share} %", look.attack),
                format!("{} of {}", look.guesses.correct, look.guesses.made),
            )
        });
        let (verdict, correct) = verdict(broken, finding.exceeds_claim());
        println!("| {name} | {} | {claim:.2} | {bound:.2} | {attack} | {counts} | {verdict} |", index + 1);
        right &= correct;
    }
    right
}

/// The verdict in words, and whether it is as it should be.
fn verdict(broken: bool, exceeds: bool) -> (&'static str, bool) {
    match (broken, exceeds) {
        (false, false) => ("below the claim", true),
        (true, true) => ("caught", true),
        (false, true) => ("ABOVE THE CLAIM", false),
        (true, false) => ("NOT CAUGHT", false),
    }
}

#[cfg(test)]
#[path = "main_tests.rs"]
mod tests;
