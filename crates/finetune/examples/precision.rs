//! What bf16 changes: the same runs in f32 and in bf16, from the same seeds, as a table.
//!
//! `cargo run --release -p finetune --example precision -- [MODEL_DIR] [TEXT]` ; by default the shipped model and the bundled text,
//! of which the last tenth is held out.

use std::path::Path;
use std::sync::Arc;

use dp::{Accountant, Delta, DpSgdPlan, PlanParameters, PrivacyUnit, SecretSeed};
use finetune::{
    BaseModel, LearningRate, LoraConfig, ModelFiles, Precision, Privacy, RecordOptions, Records, Schedule,
    Trainer, TrainingConfig, evaluate,
};
use perturb::Tokenizer;

type Failure = Box<dyn std::error::Error>;

const STEPS: u64 = 60;
const BATCH: usize = 64;
const LENGTH: usize = 128;
const SEEDS: [u8; 2] = [1, 2];

/// The first losses of a run, one of every ten steps, and its perplexity on held-out records.
struct Outcome {
    curve: Vec<f64>,
    perplexity: f64,
}

struct Setting {
    model: Arc<BaseModel>,
    training: Records,
    held_out: Records,
}

#[allow(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = |index: usize, default: &'static str| {
        arguments.get(index).map_or_else(|| default.to_owned(), Clone::clone)
    };
    let setting = Setting::read(
        Path::new(&path(1, "models/demo-llama-4m")),
        Path::new(&path(2, "examples/workshop-notes.txt")),
    )?;
    let base = evaluate(&setting.model, None, &setting.held_out, 2)?;
    println!("base model: perplexity {:.3}", base.perplexity);
    for private in [true, false] {
        let name = if private { "DP-SGD, epsilon 8" } else { "not private" };
        for seed in SEEDS {
            let f32 = setting.run(private, Precision::F32, seed)?;
            let bf16 = setting.run(private, Precision::Bf16, seed)?;
            println!(
                "\n{name}, seed {seed}: perplexity f32 {:.4}, bf16 {:.4}",
                f32.perplexity, bf16.perplexity
            );
            let rows = f32.curve.iter().zip(&bf16.curve).enumerate();
            rows.for_each(|(i, (a, b))| println!("step {:3}  f32 {a:.5}  bf16 {b:.5}", 10 * (i + 1)));
        }
    }
    Ok(())
}

impl Setting {
    fn read(folder: &Path, text: &Path) -> Result<Self, Failure> {
        let files = ModelFiles::from_dir(folder)?;
        let model = Arc::new(BaseModel::load(&files)?);
        let tokenizer = Tokenizer::from_bytes(&files.tokenizer_json)?;
        let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, LENGTH, 4);
        let text = std::fs::read_to_string(text)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let (training, held_out) = lines.split_at(lines.len() - lines.len() / 10);
        let records = |lines: &[&str]| -> Result<Records, Failure> {
            Ok(Records::from_bytes(lines.join("\n").as_bytes(), &tokenizer, &options, None)?.0)
        };
        Ok(Self { training: records(training)?, held_out: records(held_out)?, model })
    }

    fn run(&self, private: bool, precision: Precision, seed: u8) -> Result<Outcome, Failure> {
        let privacy = match private {
            true => Privacy::DpSgd(DpSgdPlan::with_noise_multiplier(self.plan()?, NOISE)?),
            false => Privacy::NonPrivate { batch_size: BATCH, steps: STEPS },
        };
        let config = TrainingConfig {
            lora: LoraConfig { rank: 8, alpha: 16.0, ..LoraConfig::default() },
            learning_rate: LearningRate { peak: 2e-3, warmup_steps: 5, schedule: Schedule::Linear },
            precision,
            threads: 2,
            max_length: LENGTH,
            ..TrainingConfig::new(privacy)
        };
        let mut trainer = Trainer::new(
            self.model.clone(),
            self.training.clone(),
            config,
            SecretSeed::from_bytes([seed; 32]),
        )?;
        let mut curve = Vec::new();
        for step in 1..=STEPS {
            trainer.step()?;
            if step % 10 == 0 {
                curve.extend(trainer.last_loss().or(trainer.released_loss()));
            }
        }
        let evaluation = evaluate(&self.model, Some(&trainer.adapter()), &self.held_out, 2)?;
        Ok(Outcome { curve, perplexity: evaluation.perplexity })
    }

    /// The loss is released too, with noise, so that a private run has a curve.
    fn plan(&self) -> Result<PlanParameters, Failure> {
        Ok(PlanParameters {
            records: self.training.len(),
            expected_batch_size: BATCH,
            steps: STEPS,
            max_grad_norm: 1.0,
            delta: Delta::try_from(1e-5)?,
            unit: PrivacyUnit::Line,
            loss_noise_multiplier: Some(4.0),
            accountant: Accountant::Pld,
        })
    }
}

/// About ε = 8 for the bundled text and this many steps.
const NOISE: f64 = 0.528;
