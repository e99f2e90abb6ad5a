//! `simulation [--seeds N] [--first SEED] [--threads N]`: runs many seeds; `simulation --seed SEED`: runs one again and shows what it did.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a person")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

struct Arguments {
    seeds: u64,
    first: u64,
    threads: usize,
    only: Option<u64>,
}

fn arguments() -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments = Arguments { seeds: 10_000, first: 0, threads, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--seeds" => arguments.seeds = number,
            "--first" => arguments.first = number,
            "--threads" => arguments.threads = number.max(1) as usize,
            "--seed" => arguments.only = Some(number),
            _ => return Err(format!("{word} is not known: --seeds, --first, --threads or --seed")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("simulation: {problem}");
            return ExitCode::FAILURE;
        }
    };
    match arguments.only {
        Some(seed) => {
            println!("{:?}", simulation::replay(seed, |line| println!("{line}")));
            ExitCode::SUCCESS
        }
        None => many(&arguments),
    }
}

#[derive(Default)]
struct Total {
    choices: u64,
    tally: [u64; 4],
    repeated: u64,
    failed: Vec<(u64, String)>,
}

fn many(arguments: &Arguments) -> ExitCode {
    // A failed check is told below, once, with the command that replays it.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, total) = (AtomicU64::new(arguments.first), Mutex::new(Total::default()));
    let end = arguments.first.saturating_add(arguments.seeds);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || !one(seed, &total) {
                        return;
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let [succeeded, cancelled, failed, deleted] = total.tally;
    println!(
        "{} choices; {succeeded} jobs succeeded, {cancelled} were cancelled, {failed} failed, {deleted} were deleted; {} slices were run again",
        total.choices, total.repeated
    );
    for (seed, problem) in &total.failed {
        println!(
            "seed {seed} failed: {problem}\n    replay: cargo run --release -p simulation -- --seed {seed}"
        );
    }
    match total.failed.is_empty() {
        true => {
            println!("simulation: all {} seeds held", arguments.seeds);
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    }
}

/// Runs a seed; false once enough have failed.
fn one(seed: u64, total: &Mutex<Total>) -> bool {
    const ENOUGH: usize = 5;
    let result = catch_unwind(AssertUnwindSafe(|| simulation::run(seed)));
    let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match result {
        Ok(ended) => {
            total.choices += ended.choices as u64;
            total.repeated += ended.repeated;
            for (sum, number) in total.tally.iter_mut().zip(ended.tally) {
                *sum += number as u64;
            }
        }
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            total.failed.push((seed, text.to_owned()));
        }
    }
    total.failed.len() < ENOUGH
}
