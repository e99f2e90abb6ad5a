//! The training loop.
//!
//! A step draws a batch of windows, lets the workers compute its gradient (each takes the next few windows from a
//! shared counter, so a thread slowed by other programs holds nobody up), sums the workers' gradients and takes an
//! AdamW step. Time is an argument: the budget, the learning rate and the checkpoints follow the `clock` given.

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::checkpoint::{Checkpoint, Progress};
use crate::config::{Layout, ModelConfig, initialise};
use crate::data::{Streams, Windows};
use crate::forward::Workspace;
use crate::kernels;
use crate::matmul::Precision;
use crate::optimizer::{AdamW, AdamWConfig, learning_rate};

/// Windows a worker takes at a time: enough rows for fast products, few enough to balance two workers.
const WINDOWS_PER_TAKE: usize = 2;
/// Held-out windows measured; fixed, so that values are comparable.
const HELD_OUT_WINDOWS: usize = 128;
/// Steps between lines of the log.
const LOG_EVERY: u64 = 20;

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrainConfig {
    /// Time budget over all resumed parts, from the first step on.
    pub(crate) budget: Duration,
    /// Time between checkpoints; the held-out loss is measured with each.
    pub(crate) checkpoint_every: Duration,
    /// Worker threads.
    pub(crate) threads: usize,
    /// Tokens in a window.
    pub(crate) length: usize,
    /// Windows in a batch.
    pub(crate) batch_size: usize,
    /// Highest learning rate.
    pub(crate) peak_learning_rate: f32,
    /// Steps of linear warm-up.
    pub(crate) warmup_steps: u64,
    /// Seed of the weights and of the order of the data.
    pub(crate) seed: u64,
}

/// A window's inputs and targets.
type Window<'a> = (&'a [u16], &'a [u16]);

/// One thread's memory and gradient.
struct Worker {
    workspace: Workspace,
    gradient: Vec<f32>,
    loss: f64,
}

/// What a step did.
struct Outcome {
    /// Mean over the batch's tokens, nats.
    loss: f64,
    /// Learning rate used.
    rate: f32,
    /// Of the gradient, before clipping.
    norm: f64,
}

/// A run in progress.
pub(crate) struct Trainer<'a> {
    matrices: Vec<Range<usize>>,
    config: TrainConfig,
    streams: &'a Streams,
    byte_lengths: &'a [u32],
    state: Checkpoint,
    workers: Vec<Worker>,
    folder: &'a Path,
}

impl<'a> Trainer<'a> {
    /// Starts from fresh weights, or from the folder's checkpoint if `resume`.
    pub(crate) fn new(
        model: ModelConfig,
        config: TrainConfig,
        streams: &'a Streams,
        byte_lengths: &'a [u32],
        folder: &'a Path,
        resume: bool,
    ) -> Result<Self> {
        let layout = Layout::new(&model);
        let state = if resume {
            Checkpoint::load(folder, layout.total)?
        } else {
            let weights = initialise(&model, &layout, config.seed);
            Checkpoint { weights, optimizer: AdamW::new(layout.total), progress: Progress::default() }
        };
        let worker = |_| Worker {
            workspace: Workspace::new(&model, WINDOWS_PER_TAKE, config.length, Precision::fastest()),
            gradient: vec![0.0; layout.total],
            loss: 0.0,
        };
        let workers = (0..config.threads).map(worker).collect();
        Ok(Self { matrices: layout.matrices(), config, streams, byte_lengths, state, workers, folder })
    }

    /// Trains until the budget is used up, then leaves a final checkpoint. `clock` tells the time since any fixed
    /// moment; `report` receives the progress now and then.
    pub(crate) fn run(
        &mut self,
        clock: &dyn Fn() -> Duration,
        report: &mut dyn FnMut(&Progress, f64),
    ) -> Result<Progress> {
        let mut windows = Windows::new(&self.streams.train, self.config.length, self.config.seed)?;
        self.state.progress.epoch_tokens = (windows.per_epoch() * self.config.length) as u64;
        let started = clock();
        let before = Duration::from_secs_f64(self.state.progress.seconds);
        let (mut last_save, mut losses) = (before, Vec::new());
        loop {
            let elapsed = before + (clock() - started);
            self.state.progress.seconds = elapsed.as_secs_f64();
            if elapsed >= self.config.budget {
                break;
            }
            if elapsed >= last_save + self.config.checkpoint_every {
                self.save()?;
                last_save = elapsed;
            }
            let outcome = self.step(&mut windows);
            losses.push(outcome.loss);
            let step = self.state.optimizer.steps;
            if step.is_multiple_of(LOG_EVERY) {
                let loss = losses.iter().sum::<f64>() / losses.len() as f64;
                losses.clear();
                self.log(&json!({ "step": step, "loss": loss, "rate": outcome.rate, "norm": outcome.norm }))?;
                report(&self.state.progress, loss);
            }
        }
        self.save()?;
        Ok(self.state.progress.clone())
    }

    /// One batch: its gradient and an optimizer step.
    fn step(&mut self, windows: &mut Windows<'a>) -> Outcome {
        let config = &self.config;
        let fraction = self.state.progress.seconds / config.budget.as_secs_f64();
        let taken = self.state.optimizer.steps;
        let rate = learning_rate(config.peak_learning_rate, taken, config.warmup_steps, fraction);
        let loss = self.gradient(windows);
        let Checkpoint { weights, optimizer, progress } = &mut self.state;
        let gradient = &self.workers[0].gradient;
        let norm = optimizer.step(&AdamWConfig::default(), weights, gradient, rate, &self.matrices);
        progress.tokens += (self.config.batch_size * self.config.length) as u64;
        Outcome { loss, rate, norm }
    }

    /// Mean loss of the next batch; its gradient is left in the first worker's buffer.
    fn gradient(&mut self, windows: &mut Windows<'a>) -> f64 {
        let size = self.config.batch_size;
        let first = self.state.optimizer.steps * size as u64;
        let batch: Vec<Window> = (0..size as u64).map(|i| windows.get(first + i)).collect();
        let scale = 1.0 / (size * self.config.length) as f32;
        let weights = &self.state.weights;
        each_take(&mut self.workers, &batch, |worker, inputs, targets| {
            worker.workspace.loss_and_gradient(weights, &mut worker.gradient, inputs, targets, scale)
        });
        let loss: f64 = self.workers.iter().map(|w| w.loss).sum();
        if let Some((total, others)) = self.workers.split_first_mut() {
            others.iter().for_each(|other| kernels::add(&mut total.gradient, &other.gradient));
        }
        loss * f64::from(scale)
    }

    /// Measures the held-out loss and writes a checkpoint.
    fn save(&mut self) -> Result<()> {
        let mut windows = held_out_windows(&self.streams.held_out, self.config.length);
        windows.truncate(windows.len() / WINDOWS_PER_TAKE * WINDOWS_PER_TAKE);
        let weights = &self.state.weights;
        each_take(&mut self.workers, &windows, |worker, inputs, targets| {
            worker.workspace.loss(weights, inputs, targets)
        });
        let nats: f64 = self.workers.iter().map(|w| w.loss).sum();
        let targets = || windows.iter().flat_map(|(_, targets)| targets.iter());
        let bytes: u64 = targets().map(|&id| u64::from(self.byte_lengths[usize::from(id)])).sum();
        let progress = &mut self.state.progress;
        progress.held_out_loss = nats / targets().count() as f64;
        progress.bits_per_byte = nats / std::f64::consts::LN_2 / bytes as f64;
        let line = json!({ "step": self.state.optimizer.steps, "progress": progress });
        self.log(&line)?;
        self.state.save(self.folder)
    }

    /// Appends a line to `log.jsonl`.
    fn log(&self, line: &serde_json::Value) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join("log.jsonl"))?;
        writeln!(file, "{line}")?;
        Ok(())
    }
}

/// The first windows of the held-out stream, one after the other.
fn held_out_windows(stream: &[u16], length: usize) -> Vec<Window<'_>> {
    let fit = stream.len().saturating_sub(1) / length;
    (0..fit.min(HELD_OUT_WINDOWS))
        .map(|i| (&stream[i * length..][..length], &stream[i * length + 1..][..length]))
        .collect()
}

/// Lets the workers take the batch's windows, a few at a time, and adds what `work` returns to each worker's loss.
/// Losses and gradients start from zero. The windows' number must be a multiple of [`WINDOWS_PER_TAKE`].
fn each_take<F>(workers: &mut [Worker], batch: &[Window], work: F)
where
    F: Fn(&mut Worker, &[u16], &[u16]) -> f64 + Sync,
{
    let next = AtomicUsize::new(0);
    let takes: Vec<&[Window]> = batch.chunks_exact(WINDOWS_PER_TAKE).collect();
    std::thread::scope(|scope| {
        for worker in workers {
            let (next, takes, work) = (&next, &takes, &work);
            scope.spawn(move || {
                worker.loss = 0.0;
                worker.gradient.fill(0.0);
                while let Some(take) = takes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let inputs: Vec<u16> =
                        take.iter().flat_map(|(inputs, _)| inputs.iter().copied()).collect();
                    let targets: Vec<u16> =
                        take.iter().flat_map(|(_, targets)| targets.iter().copied()).collect();
                    worker.loss += work(worker, &inputs, &targets);
                }
            });
        }
    });
}

#[cfg(test)]
#[path = "train_tests.rs"]
mod tests;
