//! Whole runs of a tiny model on a pattern it can learn, with a clock that counts its calls.

use std::cell::Cell;

use super::*;

const MODEL: ModelConfig = ModelConfig {
    vocab_size: 12,
    hidden_size: 16,
    layers: 1,
    heads: 2,
    kv_heads: 1,
    intermediate_size: 24,
    ..ModelConfig::DEMO
};

fn streams() -> Streams {
    let pattern = |length: usize| (0..length).map(|i| (i * i % 11 + 1) as u16).collect();
    Streams { train: pattern(1200), held_out: pattern(300) }
}

/// Each look at the clock takes a second, so a run takes as many steps as its budget has seconds.
fn ticking() -> impl Fn() -> Duration {
    let seconds = Cell::new(0);
    move || {
        seconds.set(seconds.get() + 1);
        Duration::from_secs(seconds.get())
    }
}

fn config(steps: u64, threads: usize) -> TrainConfig {
    TrainConfig {
        budget: Duration::from_secs(steps + 1),
        checkpoint_every: Duration::from_secs(40),
        threads,
        length: 16,
        batch_size: 4,
        peak_learning_rate: 0.02,
        warmup_steps: 5,
        seed: 1,
    }
}

fn run(folder: &Path, config: TrainConfig, resume: bool) -> Progress {
    let (streams, lengths) = (streams(), vec![2; MODEL.vocab_size]);
    let mut trainer = Trainer::new(MODEL, config, &streams, &lengths, folder, resume).unwrap();
    trainer.run(&ticking(), &mut |_, _| {}).unwrap()
}

#[test]
fn a_run_learns_counts_and_leaves_checkpoint_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let progress = run(folder.path(), config(150, 2), false);
    assert_eq!(progress.tokens, 150 * 4 * 16);
    // The pattern is deterministic; ignorance costs ln 11 = 2.4 nats.
    assert!(progress.held_out_loss < 0.5, "{progress:?}");
    let bits = progress.held_out_loss / std::f64::consts::LN_2 / 2.0;
    assert!((progress.bits_per_byte - bits).abs() < 1e-9, "two bytes a token");
    assert_eq!(Checkpoint::load(folder.path(), Layout::new(&MODEL).total).unwrap().progress, progress);
    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let saves = log.lines().filter(|line| line.contains("held_out_loss")).count();
    assert_eq!(
        (log.lines().count(), saves),
        (11, 4),
        "seven losses, three checkpoints on the way, one at the end"
    );
}

#[test]
fn threads_only_change_the_order_of_sums() {
    let folder = tempfile::tempdir().unwrap();
    let losses = [1, 2, 3].map(|threads| run(folder.path(), config(10, threads), false).held_out_loss);
    assert!((losses[0] - losses[1]).abs() < 1e-3 && (losses[0] - losses[2]).abs() < 1e-3, "{losses:?}");
}

#[test]
fn a_resumed_run_continues_where_the_checkpoint_stands() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), config(20, 1), false);
    let before = Checkpoint::load(folder.path(), Layout::new(&MODEL).total).unwrap();
    let progress = run(folder.path(), config(60, 1), true);
    let after = Checkpoint::load(folder.path(), Layout::new(&MODEL).total).unwrap();
    assert!(progress.seconds >= 60.0 && progress.tokens > before.progress.tokens);
    assert_eq!(after.optimizer.steps * 64, progress.tokens);
    assert!(progress.held_out_loss < before.progress.held_out_loss);
}

#[test]
fn resuming_without_a_checkpoint_is_an_error() {
    let (folder, streams) = (tempfile::tempdir().unwrap(), streams());
    assert!(Trainer::new(MODEL, config(1, 1), &streams, &[1; 12], folder.path(), true).is_err());
}
