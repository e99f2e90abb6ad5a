//! `finetune --dry-run`: what a run would be and take, without running it.

use crate::commands::finetune::Run;
use crate::show::duration;
use finetune::{MemoryEstimate, Privacy, operations, processor_rate};
use serde_json::{Value, json};

/// Share of the processor's peak that training reaches: between what the small and the large model reached in BENCHMARKS.md.
const SHARE_OF_PEAK: f64 = 0.7;
/// Memory of a Lambda function that comes with one whole processor, in MiB.
const MIB_A_PROCESSOR: f64 = 1769.0;
/// The most memory of a Lambda function, in MiB.
const LARGEST_MIB: f64 = 10_240.0;
/// US dollars a GB-second on x86-64 in us-east-1, as in infra/aws/README.md.
const DOLLARS_A_GB_SECOND: f64 = 0.000_016_666_7;
/// Memory that a function needs besides what training takes: the program, its buffers and the runtime.
const OTHER_MIB: f64 = 200.0;

/// What a run takes, on this machine and on Lambda.
pub(crate) struct Cost {
    memory: MemoryEstimate,
    seconds: f64,
    instruction_set: &'static str,
    lambda: Option<Lambda>,
}

/// A function that is large enough.
struct Lambda {
    mib: f64,
    seconds: f64,
    dollars: f64,
}

impl Cost {
    fn of(run: &Run) -> anyhow::Result<Self> {
        let (records, config) = (&run.data.records, &run.config);
        let memory = MemoryEstimate::of(run.model.config(), config)?;
        let (gflops, instruction_set) = processor_rate(config.precision, config.threads);
        let batch = match &config.privacy {
            Privacy::DpSgd(plan) => plan.expected_batch_size(),
            Privacy::NonPrivate { batch_size, .. } => *batch_size,
        };
        let passes = config.privacy.steps() as f64 * batch as f64 / records.len() as f64;
        let operations = passes * operations(run.model.config(), records);
        let seconds = operations / (SHARE_OF_PEAK * gflops * 1e9);
        let lambda = Lambda::of(memory.total(), seconds * config.threads as f64);
        Ok(Self { memory, seconds, instruction_set, lambda })
    }
}

impl Lambda {
    /// The smallest function with two processors, or more where the memory asks for it; `None` where none is large enough.
    fn of(bytes: usize, processor_seconds: f64) -> Option<Self> {
        let needed = bytes as f64 / f64::from(1 << 20) + OTHER_MIB;
        let mib = needed.max(2.0 * MIB_A_PROCESSOR).ceil();
        let seconds = processor_seconds / (mib / MIB_A_PROCESSOR).floor();
        let dollars = seconds * mib / 1024.0 * DOLLARS_A_GB_SECOND;
        (mib <= LARGEST_MIB).then_some(Self { mib, seconds, dollars })
    }
}

/// Prints records, tokens, steps, what they spend, and what they take.
pub(crate) fn report(run: &Run, as_json: bool) -> anyhow::Result<()> {
    let (data, privacy, cost) = (data_of(run), plan_of(&run.config.privacy), Cost::of(run)?);
    if as_json {
        println!("{}", json!({"data": data, "plan": privacy, "cost": cost_of(&cost)}));
        return Ok(());
    }
    println!(
        "{} records, {} tokens to learn in one pass ({} left out beyond --max-length and its sequences)",
        data["records"], data["tokens"], data["dropped_tokens"]
    );
    print_plan(run);
    print_cost(&cost);
    Ok(())
}

fn print_plan(run: &Run) {
    match &run.config.privacy {
        Privacy::DpSgd(plan) => println!(
            "{} steps, each record in a step with probability {:.6} (batches of {} on average)\n\
             ε = {:.4} at δ = {:e} with noise multiplier {:.4}, {} clipping to norm {}",
            plan.steps(),
            plan.sampling_rate(),
            plan.expected_batch_size(),
            plan.epsilon(),
            plan.delta().get(),
            plan.noise_multiplier(),
            run.config.clipping,
            plan.max_grad_norm(),
        ),
        Privacy::NonPrivate { batch_size, steps } => {
            println!("{steps} steps in batches of {batch_size}, no privacy at all");
        }
    }
}

/// What training holds, whatever the size of the batch.
pub(crate) fn memory_line(memory: &MemoryEstimate) -> String {
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    format!(
        "{:.0} MiB of memory: {:.0} weights, {:.0} workspaces, {:.0} adapter",
        mib(memory.total()),
        mib(memory.weights),
        mib(memory.workspaces),
        mib(memory.adapter),
    )
}

fn print_cost(cost: &Cost) {
    println!(
        "{}\nabout {} on this machine ({}, at {:.0} % of its peak)",
        memory_line(&cost.memory),
        duration(cost.seconds),
        cost.instruction_set,
        100.0 * SHARE_OF_PEAK,
    );
    match &cost.lambda {
        Some(lambda) => println!(
            "about {} and ${:.2} on Lambda with {:.0} MiB, if its processors are as fast as these",
            duration(lambda.seconds),
            lambda.dollars,
            lambda.mib,
        ),
        None => println!("too large for Lambda, whose functions have at most {LARGEST_MIB} MiB"),
    }
}

fn cost_of(cost: &Cost) -> Value {
    let lambda = cost.lambda.as_ref();
    json!({
        "memory_bytes": cost.memory.total(),
        "seconds": cost.seconds,
        "instruction_set": cost.instruction_set,
        "lambda": lambda.map(|l| json!({"memory_mib": l.mib, "seconds": l.seconds, "dollars": l.dollars})),
    })
}

fn data_of(run: &Run) -> Value {
    let records = &run.data.records;
    let tokens: usize = records.iter().map(|record| record.predicted_tokens()).sum();
    json!({"records": records.len(), "tokens": tokens, "dropped_tokens": records.dropped_tokens()})
}

fn plan_of(privacy: &Privacy) -> Value {
    match privacy {
        Privacy::DpSgd(plan) => json!({
            "steps": plan.steps(),
            "expected_batch_size": plan.expected_batch_size(),
            "sampling_rate": plan.sampling_rate(),
            "noise_multiplier": plan.noise_multiplier(),
            "max_grad_norm": plan.max_grad_norm(),
            "epsilon": plan.epsilon(),
            "delta": plan.delta().get(),
        }),
        Privacy::NonPrivate { batch_size, steps } => {
            json!({"steps": steps, "batch_size": batch_size, "epsilon": null})
        }
    }
}

#[cfg(test)]
#[path = "dry_run_tests.rs"]
mod tests;
