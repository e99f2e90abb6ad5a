//! The demo model of this repository through the public API: load, evaluate, train, resume, release, generate.

// A failing helper of a test should panic as the test does.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use dp::{Delta, DpSgdPlan, PlanParameters, PrivacyUnit, SecretSeed};
use finetune::{
    Adapter, BaseModel, ChannelCorrection, Context, Correction, GenerateOptions, LearningRate, ModelFiles,
    Privacy, RecordOptions, Records, Schedule, Trainer, TrainingConfig, evaluate, generate, merge,
};

const TEXT: &str = "The restaurant is near the river and serves cheap food.\n\
    The family likes the restaurant near the city centre.\n\
    A cheap restaurant by the river serves food for the family.\n";

struct Demo {
    files: ModelFiles,
    model: Arc<BaseModel>,
    tokenizer: perturb::Tokenizer,
    records: Records,
}

fn demo() -> Demo {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo-llama-4m");
    let files = ModelFiles::from_dir(&folder).unwrap();
    let model = Arc::new(BaseModel::load(&files).unwrap());
    let tokenizer = perturb::Tokenizer::from_bytes(&files.tokenizer_json).unwrap();
    let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, 64, 1);
    let (records, _) = Records::from_bytes(TEXT.as_bytes(), &tokenizer, &options, None).unwrap();
    Demo { files, model, tokenizer, records }
}

fn seed() -> SecretSeed {
    SecretSeed::from_bytes([7; 32])
}

fn config(privacy: Privacy) -> TrainingConfig {
    let learning_rate = LearningRate { peak: 5e-3, warmup_steps: 0, schedule: Schedule::Constant };
    TrainingConfig { learning_rate, max_length: 64, threads: 2, ..TrainingConfig::new(privacy) }
}

#[test]
fn the_demo_model_knows_some_english() {
    let Demo { model, tokenizer, records, .. } = demo();
    let found = evaluate(&model, None, &records, 1).unwrap();
    // Guessing among 4,096 tokens costs ln 4096 = 8.3 nats.
    assert!(found.loss < 7.0, "{found:?}");
    let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, 64, 1);
    let scrambled: String = TEXT.lines().map(|line| line.chars().rev().collect::<String>() + "\n").collect();
    let (scrambled, _) = Records::from_bytes(scrambled.as_bytes(), &tokenizer, &options, None).unwrap();
    assert!(evaluate(&model, None, &scrambled, 1).unwrap().loss > found.loss);
}

#[test]
fn training_release_and_use_hang_together() {
    let Demo { files, model, tokenizer, records } = demo();
    let before = evaluate(&model, None, &records, 1).unwrap();
    let privacy = Privacy::NonPrivate { batch_size: records.len(), steps: 12 };
    let mut trainer = Trainer::new(model.clone(), records.clone(), config(privacy), seed()).unwrap();
    (0..12).for_each(|_| trainer.step().unwrap());

    let adapter = Adapter::from_files(&trainer.adapter().to_files("demo-llama-4m")).unwrap();
    let after = evaluate(&model, Some(&adapter), &records, 1).unwrap();
    assert!(after.loss < 0.8 * before.loss, "{before:?} {after:?}");

    let merged = BaseModel::load(&merge(&files, &adapter).unwrap()).unwrap();
    let merged_loss = evaluate(&merged, None, &records, 1).unwrap().loss;
    // The demo model is stored as bf16, to which merging rounds.
    assert!((merged_loss - after.loss).abs() < 0.02 * after.loss, "{merged_loss} {after:?}");

    let options = GenerateOptions { max_tokens: 12, temperature: 0.0, ..GenerateOptions::default() };
    let text = generate(&model, Some(&adapter), &tokenizer, "The restaurant", &options).unwrap();
    assert!(!text.is_empty());
    assert_ne!(text, generate(&model, None, &tokenizer, "The restaurant", &options).unwrap());
}

#[test]
fn private_training_resumes_bit_for_bit() {
    let Demo { model, records, .. } = demo();
    let plan = PlanParameters {
        records: records.len(),
        expected_batch_size: 2,
        steps: 4,
        max_grad_norm: 1.0,
        delta: Delta::try_from(1e-5).unwrap(),
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: None,
        accountant: dp::Accountant::Pld,
    };
    let plan = DpSgdPlan::with_noise_multiplier(plan, 1.0).unwrap();
    let config = config(Privacy::DpSgd(plan));
    let mut whole = Trainer::new(model.clone(), records.clone(), config.clone(), seed()).unwrap();
    (0..2).for_each(|_| whole.step().unwrap());
    let config = TrainingConfig { threads: 1, ..config };
    let mut resumed = Trainer::resume(model, records, config, seed(), &whole.checkpoint()).unwrap();
    for _ in 2..4 {
        whole.step().unwrap();
        resumed.step().unwrap();
    }
    assert_eq!(resumed.checkpoint(), whole.checkpoint());
    assert_eq!(resumed.adapter(), whole.adapter());
    assert!(resumed.epsilon_spent().unwrap() > 0.0);
}

/// Trains on the text as k-ary randomised response leaves it at ε = 8 a token, and evaluates on the text itself.
fn loss_after_perturbed_training(correction: Correction) -> f64 {
    let Demo { files, model, tokenizer, records } = demo();
    let mechanism = perturb::Mechanism::KRr { epsilon: 8.0.try_into().unwrap() };
    let perturber = perturb::Perturber::new(tokenizer.clone(), None, mechanism).unwrap();
    let text = TEXT.repeat(20).into_bytes();
    let mut rng = seed().stream(dp::Purpose::Perturbation, 0);
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let perturbed = perturber.perturb_text(text, PrivacyUnit::Line, None, &mut rng, go_on).unwrap();
    let file = perturbed.to_bytes().unwrap();

    let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, 64, 1);
    let (received, manifest) = Records::from_bytes(&file, &tokenizer, &options, None).unwrap();
    let vocab_size = model.config().vocab_size;
    let channel = ChannelCorrection::new(&manifest.unwrap(), tokenizer.domain(), None, vocab_size).unwrap();
    let received = received.with_channel(Arc::new(channel));
    let privacy = Privacy::NonPrivate { batch_size: 12, steps: 15 };
    let config = TrainingConfig { correction, ..config(privacy) };
    let mut trainer = Trainer::new(model, received, config, seed()).unwrap();
    (0..15).for_each(|_| trainer.step().unwrap());
    let model = BaseModel::load(&files).unwrap();
    evaluate(&model, Some(&trainer.adapter()), &records, 1).unwrap().loss
}

#[test]
fn a_trainer_that_knows_the_channel_learns_the_text_and_one_that_does_not_learns_its_noise() {
    let base = evaluate(&demo().model, None, &demo().records, 1).unwrap().loss;
    let naive = loss_after_perturbed_training(Correction::Off);
    let corrected = loss_after_perturbed_training(Correction::Forward { context: Context::Received });
    let posterior = loss_after_perturbed_training(Correction::Forward { context: Context::PosteriorMean });
    let chosen = loss_after_perturbed_training(Correction::default());
    let found = format!(
        "base {base}, naive {naive}, {corrected} with the loss alone, {posterior} with both, {chosen} by default"
    );
    assert!(posterior < base - 1.0 && chosen < base - 1.0, "{found}");
    assert!([corrected, posterior, chosen].iter().all(|loss| *loss < naive - 0.5), "{found}");
}
