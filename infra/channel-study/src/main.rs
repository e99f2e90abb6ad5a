//! `channel-study run` trains every cell of the study and appends a line of JSON for each run; `channel-study report` turns
//! the lines into tables and a plot.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use channel_study::corpus::Source;
use channel_study::method::Method;
use channel_study::results::{Key, Results};
use channel_study::run::{Bench, Setting};
use channel_study::{plot, table};
use clap::{Parser, Subcommand};

/// What training on perturbed text gains by knowing the channel.
#[derive(Parser)]
#[command(name = "channel-study")]
struct Cli {
    /// One line of JSON a run; runs that it has are not made again.
    #[arg(long, global = true, default_value = "channel-study.jsonl")]
    results: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains what the results do not have yet.
    Run(Box<RunArguments>),
    /// Writes the tables to stdout and the plot to a file.
    Report {
        /// SVG file to write.
        #[arg(long)]
        plot: PathBuf,
    },
    /// Prints the time of a training step of each method, and its ratio to the first one's.
    Cost(Box<RunArguments>),
}

#[derive(clap::Args)]
struct RunArguments {
    /// Model folder.
    #[arg(long, default_value = "models/demo-llama-4m")]
    model: PathBuf,
    /// NAME:UNIT:TRAIN:VALIDATION:TEST with plain text files; UNIT is line or paragraph.
    #[arg(long = "corpus", required = true)]
    corpora: Vec<Source>,
    /// ε of a token.
    #[arg(long, value_delimiter = ',', default_values_t = [4.0, 6.0, 8.0, 10.0, 12.0])]
    epsilon: Vec<f64>,
    /// Set sizes m; 1 is k-ary randomised response.
    #[arg(long, value_delimiter = ',', default_values_t = [1])]
    neighbours: Vec<u32>,
    /// Methods.
    #[arg(long, value_delimiter = ',', default_values_t = Method::ALL)]
    methods: Vec<Method>,
    /// Learning rates that validation chooses from.
    #[arg(long, value_delimiter = ',', default_values_t = [1e-3, 6e-3])]
    learning_rates: Vec<f64>,
    /// Corpus whose validation text chooses for all [default: the first].
    #[arg(long)]
    tuned_on: Option<String>,
    /// ε whose tuning runs choose [default: each its own].
    #[arg(long)]
    tuned_at: Option<f64>,
    /// Seeds of the final runs; seed 0 is the one that tunes.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u8>,
    /// Tokens of training text.
    #[arg(long, default_value_t = 16_000)]
    tokens: usize,
    /// Passes over it.
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Command::Run(arguments) => run(&arguments, &cli.results),
        Command::Cost(arguments) => cost(&arguments),
        Command::Report { plot: file } => {
            let results = Results::open(&cli.results)?;
            print(&table::markdown(&results));
            std::fs::write(&file, plot::svg(&results)).with_context(|| format!("writing {}", file.display()))
        }
    }
}

#[allow(clippy::print_stdout)]
fn print(text: &str) {
    println!("{text}");
}

fn run(arguments: &RunArguments, file: &std::path::Path) -> Result<()> {
    let mut results = Results::open(file)?;
    let setting = Setting { threads: arguments.threads, epochs: arguments.epochs };
    let tuned_on = arguments.tuned_on.clone().unwrap_or_else(|| arguments.corpora[0].name.clone());
    for source in &arguments.corpora {
        let bench = Bench::new(&arguments.model, source, arguments.tokens, setting)?;
        bench.base(&mut results)?;
        for (method, epsilon, neighbours) in cells(arguments) {
            let key = Key { corpus: source.name.clone(), method, epsilon, neighbours };
            let tuned_at = arguments.tuned_at.filter(|_| epsilon > 0.0).unwrap_or(epsilon);
            let tuning = Key { corpus: tuned_on.clone(), epsilon: tuned_at, ..key.clone() };
            bench.cell(&key, (&tuning, &arguments.learning_rates), &arguments.seeds, &mut results)?;
        }
    }
    Ok(())
}

/// Every method at every ε and m; clean training once.
fn cells(arguments: &RunArguments) -> Vec<(Method, f64, u32)> {
    let mut cells = Vec::new();
    if arguments.methods.contains(&Method::Clean) {
        cells.push((Method::Clean, 0.0, 0));
    }
    for &epsilon in &arguments.epsilon {
        for &neighbours in &arguments.neighbours {
            let perturbed = arguments.methods.iter().filter(|method| **method != Method::Clean);
            cells.extend(perturbed.map(|method| (*method, epsilon, neighbours)));
        }
    }
    cells
}

fn cost(arguments: &RunArguments) -> Result<()> {
    let setting = Setting { threads: arguments.threads, epochs: arguments.epochs };
    let source = &arguments.corpora[0];
    let bench = Bench::new(&arguments.model, source, arguments.tokens, setting)?;
    let (epsilon, neighbours) = (arguments.epsilon[0], arguments.neighbours[0]);
    let perturbed = arguments.methods.iter().filter(|m| !matches!(m, Method::Base | Method::Clean));
    let keys: Vec<Key> =
        perturbed.map(|&method| Key { corpus: source.name.clone(), method, epsilon, neighbours }).collect();
    let seconds = bench.seconds_of_a_step(&keys)?;
    for (key, seconds_of_it) in keys.iter().zip(&seconds) {
        let ratio = seconds_of_it / seconds[0];
        print(&format!("{}: {:.1} ms a step, ratio {ratio:.2}", key.method, 1e3 * seconds_of_it));
    }
    Ok(())
}
