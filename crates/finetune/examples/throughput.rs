//! Samples per second of private training on a model folder with random tokens.
//!
//! `cargo run --release -p finetune --example throughput -- MODEL_DIR [max_length] [threads] [batch] [steps]`

use std::path::Path;
use std::sync::Arc;
// An example measures: here is its edge.
#[allow(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

use dp::{Delta, DpSgdPlan, PlanParameters, PrivacyUnit, SecretSeed};
use finetune::{BaseModel, ModelFiles, Privacy, RecordOptions, Records, Trainer, TrainingConfig};

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = arguments.get(1).ok_or("give a model folder")?;
    let number =
        |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |text| text.parse::<usize>());
    let (max_length, threads) = (number(2, 128)?, number(3, 2)?);
    let (batch, steps) = (number(4, 16)?, number(5, 3)?);

    let model = Arc::new(BaseModel::load(&ModelFiles::from_dir(Path::new(folder))?)?);
    let vocabulary = model.config().vocab_size as u32;
    // One record a batch element and a sampling rate of 1: every step has exactly `batch` samples of full length.
    let sequences: Vec<Vec<u32>> = (0..batch as u32)
        .map(|record| (0..max_length as u32).map(|i| (record * 7919 + i * 104_729) % vocabulary).collect())
        .collect();
    let options = RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        ..RecordOptions::for_model(model.config(), PrivacyUnit::Line, max_length, 1)
    };
    let records = Records::from_sequences(&sequences, &options)?;
    let plan = DpSgdPlan::with_noise_multiplier(
        PlanParameters {
            records: batch,
            expected_batch_size: batch,
            steps: steps as u64 + 1,
            max_grad_norm: 1.0,
            delta: Delta::try_from(1e-5)?,
            unit: PrivacyUnit::Line,
            loss_noise_multiplier: None,
            accountant: dp::Accountant::Pld,
        },
        1.0,
    )?;
    let config = TrainingConfig { max_length, threads, ..TrainingConfig::new(Privacy::DpSgd(plan)) };
    let mut trainer = Trainer::new(model, records, config, SecretSeed::from_bytes([0; 32]))?;
    trainer.step()?; // the first step also warms the caches
    let start = now();
    for _ in 0..steps {
        trainer.step()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = (steps * batch) as f64 / seconds;
    println!(
        "{rate:.2} samples/s ({steps} steps of {batch} × {max_length} tokens, {threads} threads, {seconds:.2} s)"
    );
    Ok(())
}
