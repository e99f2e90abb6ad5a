//! `finetune`: a LoRA adapter from a file, on this machine, without the service.

use crate::args::FinetuneArgs;
use crate::commands::perturb::model_name;
use crate::{edge, files, show};
use anyhow::Context as _;
use dp::{DpSgdPlan, PlanRequest, SecretSeed};
use finetune::{
    BaseModel, LearningRate, LoraConfig, ModelFiles, Privacy, RecordOptions, Records, Schedule, TargetModule,
    Trainer, TrainingConfig,
};
use perturb::Tokenizer;
use protocol::hyperparameters::{DpLora, DpLoraRequest};
use std::sync::Arc;

/// Trains and writes the adapter folder.
pub(crate) fn run(args: FinetuneArgs) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    let folder = ModelFiles::from_dir(&args.model)?;
    let model = Arc::new(BaseModel::load(&folder)?);
    let records = records(&args, &settings, &folder, &model)?;
    let config = config(&args, &settings, &records)?;
    let mut trainer = Trainer::new(model, records, config, SecretSeed::from_bytes(edge::entropy()?))?;
    train(&mut trainer)?;
    let mut adapter = trainer.adapter().to_files(&model_name(&args.model));
    adapter.push(("tokenizer.json".into(), folder.tokenizer_json));
    files::write_folder(&args.out, &adapter)?;
    report(&args, &trainer);
    Ok(())
}

fn settings(args: &FinetuneArgs) -> anyhow::Result<DpLora> {
    let request = DpLoraRequest {
        epsilon: Some(args.epsilon),
        delta: args.delta,
        privacy_unit: Some(args.unit.into()),
        rank: Some(args.rank),
        alpha: args.alpha,
        batch_size: Some(args.batch_size),
        steps: args.steps,
        epochs: args.epochs,
        learning_rate: Some(args.learning_rate),
        max_grad_norm: Some(args.max_grad_norm),
        max_length: Some(args.max_length),
        ..DpLoraRequest::default()
    };
    Ok(request.validate()?)
}

fn records(
    args: &FinetuneArgs,
    settings: &DpLora,
    folder: &ModelFiles,
    model: &BaseModel,
) -> anyhow::Result<Records> {
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let (length, chunks) = (settings.max_length as usize, settings.max_chunks_per_record as usize);
    let options = RecordOptions::for_model(model.config(), settings.privacy_unit, length, chunks);
    let bytes = edge::read(&args.data)?;
    let (records, _) = Records::from_bytes(&bytes, &tokenizer, &options)
        .with_context(|| format!("{} cannot be used", args.data.display()))?;
    Ok(records)
}

fn config(args: &FinetuneArgs, settings: &DpLora, records: &Records) -> anyhow::Result<TrainingConfig> {
    let batch_size = (settings.batch_size as usize).min(records.len());
    let steps = settings.duration.steps(records.len(), batch_size);
    let privacy = if args.non_private {
        Privacy::NonPrivate { batch_size, steps }
    } else {
        Privacy::DpSgd(plan(settings, records, batch_size, steps)?)
    };
    let target_modules =
        settings.target_modules.iter().filter_map(|name| TargetModule::from_name(name)).collect();
    Ok(TrainingConfig {
        lora: LoraConfig { rank: settings.rank as usize, alpha: settings.alpha, target_modules },
        learning_rate: LearningRate {
            peak: settings.learning_rate,
            warmup_steps: 0,
            schedule: Schedule::Linear,
        },
        max_length: settings.max_length as usize,
        max_chunks_per_record: settings.max_chunks_per_record as usize,
        threads: edge::threads(args.threads),
        ..TrainingConfig::new(privacy)
    })
}

fn plan(
    settings: &DpLora,
    records: &Records,
    expected_batch_size: usize,
    steps: u64,
) -> anyhow::Result<DpSgdPlan> {
    Ok(DpSgdPlan::calibrate(PlanRequest {
        records: records.len(),
        expected_batch_size,
        steps,
        max_grad_norm: settings.max_grad_norm,
        target_epsilon: settings.epsilon,
        delta: settings.delta.unwrap_or_else(|| dp::default_delta(records.len())),
        // A file of perturbed tokens brings its own unit.
        unit: records.unit(),
    })?)
}

fn train(trainer: &mut Trainer) -> anyhow::Result<()> {
    let bar = show::bar(trainer.total_steps(), "training (steps)");
    while trainer.completed_steps() < trainer.total_steps() {
        trainer.step()?;
        bar.set_position(trainer.completed_steps());
        if let Some(epsilon) = trainer.epsilon_spent() {
            bar.set_prefix(format!("ε {epsilon:.2}"));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(args: &FinetuneArgs, trainer: &Trainer) {
    let (steps, epsilon) = (trainer.completed_steps(), trainer.epsilon_spent());
    if args.json {
        println!("{}", serde_json::json!({"adapter": args.out, "steps": steps, "epsilon": epsilon}));
    } else {
        let promise = epsilon.map_or("no privacy at all".into(), |epsilon| format!("ε = {epsilon:.4} spent"));
        println!("{}: {steps} steps, {promise}", args.out.display());
    }
}
