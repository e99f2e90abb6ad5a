//! What one query of the accountants costs: time by criterion, and the peak memory of a heavy one.
//!
//!     cargo bench -p dp --bench accountant
//!
//! `accountant_peers.py` beside this file times other accountants on the same runs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

use std::hint::black_box;
use std::process::ExitCode;

use criterion::Criterion;
use dp::accountant::{Event, pld, rdp};
use dp::{Delta, DpError, Epsilon, calibration};

/// (name, noise multiplier, sampling rate, steps, δ); `accountant_peers.py` has the same list.
const RUNS: [(&str, f64, f64, u64, f64); 6] = [
    ("small", 1.1, 0.01, 1_000, 1e-5),
    ("mnist", 1.1, 256.0 / 60_000.0, 14_000, 1e-5),
    ("little noise", 0.5, 0.01, 10_000, 1e-7),
    ("much noise", 20.0, 0.5, 100_000, 1e-10),
    ("rare", 0.3, 1e-4, 100_000, 1e-5),
    ("rarest", 0.8, 1e-4, 100_000, 1e-10),
];

/// A hundred million steps: the finest grid there is.
const HEAVIEST: (f64, f64, u64, f64) = (1.0, 1e-4, 100_000_000, 1e-5);

fn bench(criterion: &mut Criterion) -> Result<(), DpError> {
    for (name, noise, rate, steps, delta) in RUNS {
        let (run, delta) = ([Event::subsampled_gaussian(noise, rate, steps)?], Delta::try_from(delta)?);
        println!(
            "{name}: ε {} by PLD, {} by RDP",
            pld::epsilon(&run, delta),
            rdp::epsilon(noise, rate, steps, delta)
        );
        criterion.bench_function(&format!("pld epsilon, {name}"), |b| {
            b.iter(|| pld::epsilon(black_box(&run), delta));
        });
    }
    let (_, noise, rate, steps, delta) = RUNS[0];
    let (delta, target) = (Delta::try_from(delta)?, Epsilon::try_from(2.0)?);
    criterion.bench_function("rdp epsilon, small", |b| {
        b.iter(|| rdp::epsilon(black_box(noise), rate, steps, delta));
    });
    let mixed =
        [Event::subsampled_gaussian(noise, rate, steps)?, Event::laplace(5.0, 10)?, Event::pure(target, 2)?];
    criterion.bench_function("pld epsilon, mixed", |b| b.iter(|| pld::epsilon(black_box(&mixed), delta)));
    criterion.bench_function("pld delta, small", |b| b.iter(|| pld::delta(black_box(&mixed[..1]), 1.5)));
    criterion.bench_function("noise multiplier, small", |b| {
        b.iter(|| calibration::noise_multiplier(black_box(target), delta, rate, steps));
    });
    Ok(())
}

/// Prints the peak memory of the process before and after the heaviest query. Linux only.
fn memory() -> Result<(), DpError> {
    let (noise, rate, steps, delta) = HEAVIEST;
    let before = peak_kilobytes();
    let epsilon = pld::epsilon(&[Event::subsampled_gaussian(noise, rate, steps)?], Delta::try_from(delta)?);
    if let (Some(before), Some(after)) = (before, peak_kilobytes()) {
        println!("heaviest query, ε {epsilon}: peak memory {after} kB, {before} kB before it");
    }
    Ok(())
}

fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

fn main() -> ExitCode {
    // First, while the process is small.
    let outcome = memory().and_then(|()| {
        let mut criterion = Criterion::default().sample_size(10).configure_from_args();
        let outcome = bench(&mut criterion);
        criterion.final_summary();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
