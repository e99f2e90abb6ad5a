//! Makes the demo model that ships with the project, from public text, with nothing but this program.
//!
//! `tokenizer` learns a byte-level BPE vocabulary, `train` pre-trains a small Llama-architecture language model on the
//! CPU, `export` writes the Hugging Face folder and `sample` shows what the model writes. The recipe is in README.md.
//!
//! Reading order: [`config`] (shape), [`forward`] and [`backward`] (the model), [`train`] (the loop), [`corpus`] and
//! [`data`] (what it reads), [`export`].

mod attention;
mod backward;
mod checkpoint;
mod clean;
mod config;
mod corpus;
mod data;
mod export;
mod forward;
mod kernels;
mod matmul;
#[cfg(target_arch = "x86_64")]
mod mixed;
#[cfg(not(target_arch = "x86_64"))]
#[path = "mixed_elsewhere.rs"]
mod mixed;
mod optimizer;
mod sample;
mod tokenizer;
mod train;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::checkpoint::Checkpoint;
use crate::config::{Layout, ModelConfig};
use crate::train::{TrainConfig, Trainer};

/// Seed of the data order and the fresh weights; any value would do, this one made the shipped model.
const SEED: u64 = 20_261_123;

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Learn the vocabulary from a corpus folder and write it to a run folder.
    Tokenizer {
        /// Folder with the public corpora (see README.md).
        #[arg(long)]
        corpus: PathBuf,
        /// Run folder.
        #[arg(long)]
        out: PathBuf,
    },
    /// Pre-train the model in a run folder that holds a tokenizer.
    Train(TrainArgs),
    /// Write a run's checkpoint as a Hugging Face model folder.
    Export {
        /// Run folder.
        #[arg(long)]
        run: PathBuf,
        /// Model folder to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Continue a prompt with an exported model.
    Sample(SampleArgs),
}

#[derive(Args)]
struct TrainArgs {
    /// Folder with the public corpora (see README.md).
    #[arg(long)]
    corpus: PathBuf,
    /// Run folder; holds tokenizer.json, receives checkpoint and log.
    #[arg(long)]
    out: PathBuf,
    /// Time budget in minutes, over all resumed parts.
    #[arg(long)]
    minutes: f64,
    /// Continue from the run folder's checkpoint.
    #[arg(long)]
    resume: bool,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Sequences of 256 tokens in a batch; even.
    #[arg(long, default_value_t = 8)]
    batch_size: usize,
    /// Highest learning rate.
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f32,
    /// Minutes between checkpoints.
    #[arg(long, default_value_t = 5.0)]
    checkpoint_minutes: f64,
}

#[derive(Args)]
struct SampleArgs {
    /// Exported model folder.
    #[arg(long)]
    model: PathBuf,
    /// Text to continue.
    #[arg(long, default_value = "")]
    prompt: String,
    /// Divides the logits; below 1 sharpens.
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    /// Draw only from this many most likely tokens.
    #[arg(long, default_value_t = 40)]
    top_k: usize,
    /// Most tokens to add.
    #[arg(long, default_value_t = 120)]
    max_tokens: usize,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Tokenizer { corpus, out } => make_tokenizer(&corpus, &out),
        Command::Train(args) => train(&args),
        Command::Export { run, out } => export(&run, &out),
        Command::Sample(args) => sample(&args),
    }
}

fn make_tokenizer(folder: &Path, out: &Path) -> Result<()> {
    let documents = corpus::read(folder)?;
    let texts = documents.iter().map(|d| d.text.as_str());
    let tokenizer = tokenizer::train(texts, ModelConfig::DEMO.vocab_size)?;
    tokenizer::save(&tokenizer, out, ModelConfig::DEMO.max_position_embeddings)
}

fn train(args: &TrainArgs) -> Result<()> {
    ensure!(
        args.batch_size > 0 && args.batch_size.is_multiple_of(2),
        "--batch-size must be even and positive"
    );
    ensure!(args.threads > 0, "--threads must be at least 1");
    ensure!(args.minutes > 0.0 && args.checkpoint_minutes > 0.0, "times must be positive");
    let tokenizer = tokenizer::load(&args.out)?;
    let streams = data::tokenise(&tokenizer, &corpus::read(&args.corpus)?, SEED)?;
    let byte_lengths = tokenizer::byte_lengths(&tokenizer);
    let config = TrainConfig {
        budget: Duration::from_secs_f64(args.minutes * 60.0),
        checkpoint_every: Duration::from_secs_f64(args.checkpoint_minutes * 60.0),
        threads: args.threads,
        length: 256,
        batch_size: args.batch_size,
        peak_learning_rate: args.learning_rate,
        warmup_steps: 200,
        seed: SEED,
    };
    let mut trainer =
        Trainer::new(ModelConfig::DEMO, config, &streams, &byte_lengths, &args.out, args.resume)?;
    let bar = ProgressBar::new(config.budget.as_secs())
        .with_style(ProgressStyle::with_template("{bar:40} {elapsed_precise} of {len} s  {msg}")?);
    // The clock is read here, at the edge, and nowhere else.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    trainer.run(&|| start.elapsed(), &mut |progress, loss| {
        bar.set_position(progress.seconds as u64);
        bar.set_message(format!("{} tokens, loss {loss:.3}", progress.tokens));
    })?;
    bar.finish();
    Ok(())
}

fn export(run: &Path, out: &Path) -> Result<()> {
    let model = ModelConfig::DEMO;
    let checkpoint = Checkpoint::load(run, Layout::new(&model).total)?;
    export::export(&model, &checkpoint, &tokenizer::load(run)?, out)
}

fn sample(args: &SampleArgs) -> Result<()> {
    ensure!(args.temperature > 0.0, "--temperature must be positive");
    let model = ModelConfig::DEMO;
    let weights = export::load(&model, &args.model)?;
    let config = sample::SampleConfig {
        temperature: args.temperature,
        top_k: args.top_k,
        max_tokens: args.max_tokens,
        seed: args.seed,
    };
    let text = sample::generate(&model, &weights, &tokenizer::load(&args.model)?, &args.prompt, &config)?;
    // The result of this command is its output.
    #[allow(clippy::print_stdout)]
    {
        println!("{}{text}", args.prompt);
    }
    Ok(())
}
