use super::*;
use crate::channel::{Context, CorrectionError};
use crate::fixtures::{TinyModel, options, random_records, seed};
use crate::lora::{ALL_LINEAR, LoraConfig};
use crate::model::ModelError;
use crate::ops::matrix::{add_scaled, squared_norm};
use crate::records::Record;
use crate::train::optimizer::Memory;
use crate::train::{LearningRate, Optimizer, Schedule};
use dp::{Clipping, Delta, DpSgdPlan, PlanParameters, PrivacyUnit};

pub(super) const RECORDS: usize = 12;

pub(super) fn plan(noise_multiplier: f64, expected_batch_size: usize, steps: u64) -> DpSgdPlan {
    let delta = Delta::try_from(1e-5).unwrap();
    let parameters = PlanParameters {
        records: RECORDS,
        expected_batch_size,
        steps,
        max_grad_norm: 0.5,
        delta,
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: None,
        accountant: dp::Accountant::Pld,
    };
    DpSgdPlan::with_noise_multiplier(parameters, noise_multiplier).unwrap()
}

pub(super) fn config(privacy: Privacy, threads: usize) -> TrainingConfig {
    TrainingConfig {
        lora: LoraConfig {
            rank: 2,
            alpha: 5.0,
            target_modules: vec!["q_proj".into(), "v_proj".into()],
            use_rslora: false,
        },
        learning_rate: LearningRate { peak: 1e-2, warmup_steps: 2, schedule: Schedule::Cosine },
        weight_decay: 0.01,
        max_length: 10,
        max_chunks_per_record: 4,
        threads,
        ..TrainingConfig::new(privacy)
    }
}

pub(super) fn private(threads: usize) -> TrainingConfig {
    config(Privacy::DpSgd(plan(0.8, 4, 6)), threads)
}

pub(super) fn trainer(config: TrainingConfig) -> Trainer {
    Trainer::new(TinyModel::new().load(), random_records(RECORDS, 10), config, seed(3)).unwrap()
}

pub(super) fn resume(config: TrainingConfig, checkpoint: &[u8]) -> Result<Trainer, TrainError> {
    Trainer::resume(TinyModel::new().load(), random_records(RECORDS, 10), config, seed(3), checkpoint)
}

/// AdamW's mean of the gradient.
fn first_moment(trainer: &Trainer) -> Vec<f32> {
    match &trainer.state.memory {
        Memory::Moments { first, .. } => first.clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn run(trainer: &mut Trainer, steps: u64) {
    (0..steps).for_each(|_| trainer.step().unwrap());
}

/// Checkpoint and adapter files at the end of a run.
pub(super) fn outcome(trainer: &Trainer) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    (trainer.checkpoint(), trainer.adapter().to_files("base"))
}

#[test]
fn a_resumed_run_is_bit_identical_to_one_that_never_stopped() {
    let non_private = |threads| config(Privacy::NonPrivate { batch_size: 5, steps: 6 }, threads);
    let sgd = |threads| TrainingConfig { optimizer: Optimizer::Sgd { momentum: 0.9 }, ..private(threads) };
    let plain = |threads| TrainingConfig {
        optimizer: Optimizer::Sgd { momentum: 0.0 },
        clipping: Clipping::Auto,
        ..private(threads)
    };
    let per_layer = |threads| TrainingConfig { clipping: Clipping::PerLayer, ..private(threads) };
    for settings in [private, non_private, sgd, plain, per_layer] {
        let mut whole = trainer(settings(1));
        run(&mut whole, 6);
        for cut in [0, 1, 3, 6] {
            let mut first = trainer(settings(1));
            run(&mut first, cut);
            let mut second = resume(settings(2), &first.checkpoint()).unwrap();
            assert_eq!(second.completed_steps(), cut);
            assert_eq!(second.checkpoint(), first.checkpoint());
            run(&mut second, 6 - cut);
            assert_eq!(outcome(&second), outcome(&whole), "cut after {cut}");
        }
    }
}

#[test]
fn optimisers_and_clipping_rules_make_a_difference() {
    let adapter = |settings: TrainingConfig| {
        let mut trainer = trainer(settings);
        run(&mut trainer, 6);
        trainer.adapter()
    };
    let mut found = vec![adapter(private(1))];
    for momentum in [0.0, 0.9] {
        found.push(adapter(TrainingConfig { optimizer: Optimizer::Sgd { momentum }, ..private(1) }));
    }
    for clipping in [Clipping::Auto, Clipping::PerLayer] {
        found.push(adapter(TrainingConfig { clipping, ..private(1) }));
    }
    for (index, one) in found.iter().enumerate() {
        assert!(found[..index].iter().all(|other| other != one), "number {index} repeats another");
    }
}

pub(super) fn from_adapter(config: TrainingConfig, adapter: &Adapter) -> Result<Trainer, TrainError> {
    Trainer::from_adapter(TinyModel::new().load(), random_records(RECORDS, 10), config, seed(3), adapter)
}

#[test]
fn a_run_goes_on_from_an_adapter_and_resumes_bit_for_bit() {
    let mut earlier = trainer(private(1));
    run(&mut earlier, 6);
    let adapter = earlier.adapter();
    let mut whole = from_adapter(private(1), &adapter).unwrap();
    assert_eq!((whole.adapter().parameters(), whole.completed_steps()), (adapter.parameters(), 0));
    run(&mut whole, 6);
    let mut first = from_adapter(private(1), &adapter).unwrap();
    run(&mut first, 2);
    let again = |adapter: &Adapter| {
        let (model, records) = (TinyModel::new().load(), random_records(RECORDS, 10));
        Trainer::resume_from_adapter(model, records, private(2), seed(3), adapter, &first.checkpoint())
    };
    let mut second = again(&adapter).unwrap();
    run(&mut second, 4);
    assert_eq!(outcome(&second), outcome(&whole));
    // The adapter belongs to the run: without it, or with another, the checkpoint is another run's.
    let mismatch = |result: Result<Trainer, TrainError>| match result {
        Err(TrainError::CheckpointMismatch(what)) => what,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    };
    assert_eq!(mismatch(resume(private(1), &first.checkpoint())), "adapter to start from");
    assert_eq!(mismatch(again(&whole.adapter())), "adapter to start from");
}

#[test]
fn an_adapter_read_from_its_files_is_gone_on_from_alike() {
    let mut earlier = trainer(private(1));
    run(&mut earlier, 3);
    let read = Adapter::from_files(&earlier.adapter().to_files("base")).unwrap();
    assert_eq!(
        from_adapter(private(1), &read).unwrap().checkpoint(),
        from_adapter(private(1), &earlier.adapter()).unwrap().checkpoint()
    );
}

#[test]
fn an_adapter_of_another_shape_is_refused_by_what_differs() {
    let adapter = trainer(private(1)).adapter();
    let refused = |change: fn(&mut LoraConfig)| {
        let mut settings = private(1);
        change(&mut settings.lora);
        match from_adapter(settings, &adapter) {
            Err(TrainError::OtherAdapter { setting, .. }) => setting,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was taken"),
        }
    };
    assert_eq!(refused(|lora| lora.rank = 3), "rank");
    assert_eq!(refused(|lora| lora.alpha = 4.0), "alpha");
    assert_eq!(refused(|lora| lora.use_rslora = true), "use_rslora");
    assert_eq!(refused(|lora| lora.target_modules.truncate(1)), "target_modules");
    let deeper = TinyModel::with(&serde_json::json!({"num_hidden_layers": 3})).load();
    let error =
        Trainer::from_adapter(deeper, random_records(RECORDS, 10), private(1), seed(3), &adapter).err();
    assert!(matches!(error, Some(TrainError::AdapterOfOtherModel)), "{error:?}");
    let mut swapped = private(1);
    swapped.lora.target_modules.reverse();
    assert!(from_adapter(swapped, &adapter).is_ok(), "the order of names means nothing");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut one = trainer(private(1));
    run(&mut one, 6);
    for threads in [2, 3, 7] {
        let mut many = trainer(private(threads));
        run(&mut many, 6);
        assert_eq!(outcome(&many), outcome(&one), "{threads} threads");
    }
    let mut other =
        Trainer::new(TinyModel::new().load(), random_records(RECORDS, 10), private(1), seed(4)).unwrap();
    run(&mut other, 6);
    assert_ne!(outcome(&other), outcome(&one), "another seed must differ");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let checkpoint = trainer(private(1)).checkpoint();
    let other = config(Privacy::DpSgd(plan(0.9, 4, 6)), 1);
    assert!(matches!(resume(other, &checkpoint), Err(TrainError::CheckpointMismatch("configuration"))));
    assert!(matches!(resume(private(1), &checkpoint[..50]), Err(TrainError::CorruptCheckpoint(_))));
}

/// Gives each record the gradient that a test asks for.
struct Scripted<F>(F);

impl<F: Fn(&Record) -> Result<f32, ModelError> + Send + Sync> GradientEngine for Scripted<F> {
    fn set_parameters(&mut self, _: &[f32]) -> Result<(), ModelError> {
        Ok(())
    }

    fn add_record_gradient(&self, record: &Record, gradient: &mut [f32]) -> Result<f64, ModelError> {
        let value = (self.0)(record)?;
        gradient.iter_mut().for_each(|g| *g += value);
        Ok(f64::from(value))
    }
}

pub(super) fn scripted(
    config: TrainingConfig,
    script: impl Fn(&Record) -> Result<f32, ModelError> + Send + Sync + 'static,
) -> Trainer {
    let mut trainer = trainer(config);
    trainer.engine = Box::new(Scripted(script));
    trainer
}

/// What step 0 releases of `batch`, less the noise, before the division by the expected batch size of 4. The noise is
/// that of an empty batch; f32 keeps its values of about 0.1 to within 1e-8.
pub(super) fn clipped_sum(trainer: &Trainer, batch: &[usize]) -> Vec<f32> {
    let release = |batch: &[usize]| trainer.accumulate(batch).unwrap().0.release(0).gradient;
    release(batch).iter().zip(release(&[])).map(|(with, without)| 4.0 * (with - without)).collect()
}

#[test]
fn the_sum_is_that_of_gradients_taken_one_at_a_time_and_clipped() {
    let trainer = trainer(private(3));
    let batch: Vec<usize> = (0..RECORDS).collect();
    let sum = clipped_sum(&trainer, &batch);
    let mut expected = vec![0.0f32; sum.len()];
    let mut clipped = 0;
    for &index in &batch {
        let mut gradient = vec![0.0; sum.len()];
        trainer.engine.add_record_gradient(trainer.records.get(index), &mut gradient).unwrap();
        let norm = squared_norm(&gradient).sqrt();
        clipped += usize::from(norm > 0.5);
        add_scaled(&mut expected, (0.5 / norm).min(1.0) as f32, &gradient);
    }
    let gap = sum.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-6, "{gap}");
    assert!(squared_norm(&expected) > 0.01, "the sum is too small to show anything");
    assert!(clipped > 0, "no record was clipped, so this test shows little");
}

#[test]
fn one_record_moves_the_release_by_no_more_than_the_clipping_norm() {
    for size in [1e-3f32, 1.0, 1e20, f32::INFINITY, f32::NAN] {
        let trainer = scripted(private(1), move |_| Ok(size));
        let norm = squared_norm(&clipped_sum(&trainer, &[0])).sqrt();
        assert!(norm <= 0.5 + 1e-5, "gradient of {size} moves it by {norm}");
    }
}

#[test]
fn the_noise_has_the_planned_deviation_and_is_divided_by_the_expected_batch_size() {
    // Gradients of zero leave only the noise: its mean square is (noise_multiplier · C / expected batch size)².
    let mut trainer = scripted(config(Privacy::DpSgd(plan(3.0, 4, 40)), 1), |_| Ok(0.0));
    let count = trainer.state.parameters.len() as f64;
    let (mut square, mut steps) = (0.0, 0.0);
    for _ in 0..40 {
        let before = first_moment(&trainer);
        trainer.step().unwrap();
        // AdamW's m ← 0.9·m + 0.1·g gives the gradient back.
        let gradient = first_moment(&trainer).into_iter().zip(&before).map(|(m, old)| (m - 0.9 * old) / 0.1);
        square += gradient.map(|g| f64::from(g * g)).sum::<f64>();
        steps += 1.0;
    }
    let found = (square / (count * steps)).sqrt();
    let expected = 3.0 * 0.5 / 4.0;
    // The deviation of n normal draws is within 5/√(2n) of the true one, relatively.
    let tolerance = 5.0 / (2.0 * count * steps).sqrt();
    assert!((found / expected - 1.0).abs() < tolerance, "{found} against {expected} ± {tolerance}");
}

#[test]
fn an_empty_batch_adds_noise_and_counts_as_a_step() {
    let mut trainer = trainer(config(Privacy::DpSgd(plan(0.8, 1, 40)), 1));
    let empty = (0..40).find(|step| trainer.mechanism.batch(*step).is_empty());
    let empty = empty.expect("about a third of batches of mean size 1 are empty");
    run(&mut trainer, empty);
    let before = trainer.adapter();
    trainer.step().unwrap();
    assert_eq!(trainer.completed_steps(), empty + 1);
    assert_ne!(trainer.adapter(), before);
}

#[test]
fn the_realised_batch_size_divides_nothing() {
    // Every record adds the same clipped vector, so a mean over the realised batch would be the same in every step.
    let mut trainer = scripted(config(Privacy::DpSgd(plan(0.05, 4, 20)), 1), |_| Ok(1.0));
    let count = trainer.state.parameters.len() as f64;
    let unit = 0.5 / count.sqrt();
    let mut sizes = std::collections::BTreeSet::new();
    for step in 0..20 {
        let before = first_moment(&trainer);
        let size = trainer.mechanism.batch(step).len();
        trainer.step().unwrap();
        let gradient = first_moment(&trainer).into_iter().zip(&before).map(|(m, old)| (m - 0.9 * old) / 0.1);
        // The noise of the mean over all coordinates is 0.05·0.5/4/√count, an eightieth of the step between sizes.
        let mean = gradient.map(f64::from).sum::<f64>() / count;
        assert!((mean - unit * size as f64 / 4.0).abs() < 0.1 * unit, "step {step}: {mean} for {size}");
        sizes.insert(size);
    }
    assert!(sizes.len() > 3, "{sizes:?}");
}

#[test]
fn a_loss_is_released_with_noise_where_it_is_paid_for_and_is_replayed() {
    let paid = |noise| {
        let parameters = PlanParameters {
            records: RECORDS,
            expected_batch_size: RECORDS,
            steps: 6,
            max_grad_norm: 0.5,
            delta: Delta::try_from(1e-5).unwrap(),
            unit: PrivacyUnit::Line,
            loss_noise_multiplier: Some(noise),
            accountant: dp::Accountant::Pld,
        };
        let plan = DpSgdPlan::with_noise_multiplier(parameters, 1.0).unwrap();
        scripted(config(Privacy::DpSgd(plan), 2), |_| Ok(4.0))
    };
    let losses = |noise| {
        let mut trainer = paid(noise);
        assert_eq!(trainer.released_loss(), None);
        let mut step = || {
            trainer.step().unwrap();
            trainer.released_loss().unwrap()
        };
        [step(), step(), step()]
    };
    // Every record's loss is 4; the noise on the mean of twelve is 0.01·6.25/12, resp. a hundred times that.
    assert!(losses(0.01).iter().all(|loss| (loss - 4.0).abs() < 0.03), "{:?}", losses(0.01));
    let noisy = losses(1.0);
    assert!(noisy.iter().any(|loss| (loss - 4.0).abs() > 0.1) && noisy == losses(1.0), "{noisy:?}");
}

#[test]
fn private_mode_tells_no_loss_and_an_odd_record_does_not_stop_it() {
    let mut odd = scripted(private(2), |record| Ok(if record.chunks().len() > 1 { f32::NAN } else { 1.0 }));
    run(&mut odd, 6);
    assert_eq!((odd.last_loss(), odd.released_loss()), (None, None));
    assert!(matches!(odd.step(), Err(TrainError::Finished(6))));
}

#[test]
fn epsilon_grows_to_that_of_the_plan() {
    let mut trainer = trainer(private(1));
    let mut spent = vec![trainer.epsilon_spent().unwrap()];
    for _ in 0..6 {
        trainer.step().unwrap();
        spent.push(trainer.epsilon_spent().unwrap());
    }
    assert!(spent.is_sorted() && spent[0] == 0.0 && spent[6] > spent[1], "{spent:?}");
    assert_eq!(spent[6], plan(0.8, 4, 6).epsilon());
    let open = config(Privacy::NonPrivate { batch_size: 2, steps: 1 }, 1);
    assert_eq!(self::trainer(open).epsilon_spent(), None);
}

#[test]
fn a_failed_step_leaves_the_run_where_it_was() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let mut trainer = scripted(private(2), move |_| match switch.load(Ordering::Relaxed) {
        true => Err(ModelError::SequenceTooLong { length: 2, limit: 1 }),
        false => Ok(1.0),
    });
    let before = outcome(&trainer);
    assert!(matches!(trainer.step(), Err(TrainError::Model(_))));
    assert_eq!(outcome(&trainer), before);
    broken.store(false, Ordering::Relaxed);
    run(&mut trainer, 6);
}

#[test]
fn divergence_without_privacy_is_an_error() {
    let mut trainer = scripted(config(Privacy::NonPrivate { batch_size: 2, steps: 3 }, 1), |_| Ok(f32::NAN));
    let before = outcome(&trainer);
    assert!(matches!(trainer.step(), Err(TrainError::Diverged { step: 0 })));
    assert_eq!(outcome(&trainer), before);
}

#[test]
fn training_without_privacy_overfits_a_tiny_corpus() {
    let mut settings = config(Privacy::NonPrivate { batch_size: RECORDS, steps: 60 }, 2);
    settings.lora =
        LoraConfig { rank: 8, alpha: 16.0, target_modules: vec![ALL_LINEAR.into()], use_rslora: false };
    settings.learning_rate = LearningRate { peak: 2e-2, warmup_steps: 0, schedule: Schedule::Constant };
    let mut trainer = trainer(settings);
    trainer.step().unwrap();
    let first = trainer.last_loss().unwrap();
    run(&mut trainer, 59);
    let last = trainer.last_loss().unwrap();
    assert!(last < 0.5 * first, "{first} fell to {last} only");
    let model = TinyModel::new().load();
    let adapter = trainer.adapter();
    let evaluation = crate::evaluate(&model, Some(&adapter), &random_records(RECORDS, 10), 2).unwrap();
    let base = crate::evaluate(&model, None, &random_records(RECORDS, 10), 2).unwrap();
    assert!(evaluation.loss < 0.6 * base.loss, "{evaluation:?} {base:?}");
}

#[test]
fn huge_noise_is_survived() {
    let mut trainer = trainer(config(Privacy::DpSgd(plan(1e4, 4, 30)), 2));
    run(&mut trainer, 30);
    assert!(trainer.adapter().parameters().iter().all(|v| v.is_finite()));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let model = TinyModel::new().load();
    let error = |records: Records, config: TrainingConfig| {
        Trainer::new(model.clone(), records, config, seed(1)).err().unwrap()
    };
    let records = || random_records(RECORDS, 10);
    assert!(matches!(
        error(random_records(RECORDS + 1, 10), private(1)),
        TrainError::PlanForOtherData { planned: 12, found: 13 }
    ));
    let mut paragraphs = options(10, 4);
    paragraphs.unit = PrivacyUnit::Paragraph;
    let paragraphs = Records::from_sequences(&vec![vec![1]; RECORDS], &paragraphs).unwrap();
    assert!(matches!(error(paragraphs, private(1)), TrainError::PlanForOtherUnit { .. }));
    assert!(matches!(
        error(random_records(RECORDS, 20), private(1)),
        TrainError::ChunkTooLong { max_length: 10, .. }
    ));
    let mut larger = options(10, 4);
    larger.vocab_size = 1000;
    let larger = Records::from_sequences(&vec![vec![300]; RECORDS], &larger).unwrap();
    assert!(matches!(error(larger, private(1)), TrainError::TokenOutOfRange { token: 300, vocab_size: 300 }));
    let mut no_rank = private(1);
    no_rank.lora.rank = 0;
    assert!(matches!(error(records(), no_rank), TrainError::Lora(_)));
    assert!(matches!(
        error(records(), TrainingConfig { threads: 0, ..private(1) }),
        TrainError::Setting { .. }
    ));
}

pub(super) fn perturbed(config: TrainingConfig, checkpoint: Option<&[u8]>) -> Result<Trainer, TrainError> {
    let channel = crate::fixtures::channel::correction(300, 4.0, 2);
    let (model, records) =
        (TinyModel::new().load(), random_records(RECORDS, 10).with_channel(Arc::new(channel)));
    match checkpoint {
        None => Trainer::new(model, records, config, seed(3)),
        Some(checkpoint) => Trainer::resume(model, records, config, seed(3), checkpoint),
    }
}

#[test]
fn a_corrected_run_resumes_bit_for_bit_and_with_any_number_of_threads() {
    for context in [Context::Received, Context::PosteriorMean, Context::Denoised { passes: 2 }] {
        let settings =
            |threads| TrainingConfig { correction: Correction::Forward { context }, ..private(threads) };
        let mut whole = perturbed(settings(1), None).unwrap();
        run(&mut whole, 6);
        let mut first = perturbed(settings(3), None).unwrap();
        run(&mut first, 2);
        let mut second = perturbed(settings(2), Some(&first.checkpoint())).unwrap();
        run(&mut second, 4);
        assert_eq!(outcome(&second), outcome(&whole), "{context:?}");
        let mut off = perturbed(TrainingConfig { correction: Correction::Off, ..private(1) }, None).unwrap();
        run(&mut off, 6);
        assert_ne!(off.adapter(), whole.adapter(), "{context:?} must make a difference");
    }
}

#[test]
fn text_in_clear_is_trained_on_alike_whatever_the_correction() {
    let adapter = |correction| {
        let mut trainer = trainer(TrainingConfig { correction, ..private(1) });
        run(&mut trainer, 6);
        trainer.adapter()
    };
    let off = adapter(Correction::Off);
    assert_eq!(adapter(Correction::default()), off);
    let mut ignored = perturbed(TrainingConfig { correction: Correction::Off, ..private(1) }, None).unwrap();
    run(&mut ignored, 6);
    assert_eq!(
        ignored.adapter(),
        off,
        "with the correction off, perturbed tokens are trained on as they are"
    );
}

#[test]
fn the_released_loss_of_a_corrected_run_is_the_noisy_mean_of_its_losses() {
    let delta = Delta::try_from(1e-5).unwrap();
    let parameters = PlanParameters {
        records: RECORDS,
        expected_batch_size: RECORDS,
        steps: 2,
        max_grad_norm: 0.5,
        delta,
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: Some(0.01),
        accountant: dp::Accountant::Pld,
    };
    let plan = DpSgdPlan::with_noise_multiplier(parameters, 0.8).unwrap();
    let mut trainer = perturbed(config(Privacy::DpSgd(plan), 1), None).unwrap();
    let batch: Vec<usize> = (0..RECORDS).collect();
    let mean = trainer.accumulate(&batch).unwrap().1 / RECORDS as f64;
    trainer.step().unwrap();
    let released = trainer.released_loss().unwrap();
    assert!(mean > 3.0 && (released - mean).abs() < 0.1, "{released} {mean}");
}

#[test]
fn a_channel_is_part_of_the_run() {
    let checkpoint = trainer(private(1)).checkpoint();
    assert!(matches!(
        perturbed(private(1), Some(&checkpoint)),
        Err(TrainError::CheckpointMismatch("data file"))
    ));
    let checkpoint = perturbed(private(1), None).unwrap().checkpoint();
    let off = TrainingConfig { correction: Correction::Off, ..private(1) };
    assert!(matches!(
        perturbed(off, Some(&checkpoint)),
        Err(TrainError::CheckpointMismatch("configuration"))
    ));
    for passes in [0, 9] {
        let correction = Correction::Forward { context: Context::Denoised { passes } };
        let error = perturbed(TrainingConfig { correction, ..private(1) }, None).err().unwrap();
        assert_eq!(error.to_string(), format!("passes is {passes}, but must be from 1 to 8"));
    }
    let other = Arc::new(crate::fixtures::channel::correction(299, 4.0, 2));
    let records = random_records(RECORDS, 10).with_channel(other);
    let error = Trainer::new(TinyModel::new().load(), records, private(1), seed(3)).err().unwrap();
    assert!(matches!(error, TrainError::Correction(CorrectionError::Vocabulary { .. })), "{error}");
}

#[test]
fn settings_written_before_there_was_a_correction_are_read() {
    let mut value = serde_json::to_value(private(1)).unwrap();
    value.as_object_mut().unwrap().remove("correction").unwrap();
    assert_eq!(serde_json::from_value::<TrainingConfig>(value).unwrap(), private(1));
}

#[cfg(feature = "audit")]
mod audit {
    use super::*;
    use crate::PoissonGaussian;

    fn engine() -> Box<dyn GradientEngine> {
        Box::new(Scripted(|record: &Record| Ok(record.chunks()[0].tokens().len() as f32)))
    }

    fn with_engine(records: usize, dimension: usize) -> Result<Trainer, TrainError> {
        let plan = plan(0.8, 4, 6);
        let mechanism =
            Box::new(PoissonGaussian { plan: plan.clone(), clipper: dp::Clipper::default(), seed: seed(3) });
        let config = config(Privacy::DpSgd(plan), 1);
        Trainer::with_engine(engine(), dimension, random_records(records, 10), config, &seed(3), mechanism)
    }

    #[test]
    fn what_is_observed_is_what_the_optimiser_gets() {
        let mut observed = with_engine(RECORDS, 40).unwrap();
        for _ in 0..6 {
            let before = first_moment(&observed);
            let mut seen = Vec::new();
            observed.step_observed(&mut |gradient| seen = gradient.to_vec()).unwrap();
            for ((m, old), g) in first_moment(&observed).into_iter().zip(before).zip(seen) {
                assert!((m - (0.9 * old + 0.1 * g)).abs() < 1e-6);
            }
        }
        assert!(matches!(observed.step(), Err(TrainError::Finished(6))));
    }

    #[test]
    fn the_audited_path_is_the_one_that_trains() {
        let mut usual = trainer(private(1));
        usual.engine = engine();
        let dimension = usual.layout.parameters();
        let mut audited = with_engine(RECORDS, dimension).unwrap();
        let (mut start, mut gaps) = (Vec::new(), 0);
        usual.advance(&mut |gradient| start = gradient.to_vec()).unwrap();
        audited.step_observed(&mut |gradient| gaps += usize::from(gradient != start)).unwrap();
        assert_eq!(gaps, 0, "the same seed, plan and gradients release other values");
    }

    #[test]
    fn an_audit_is_checked_like_any_run() {
        let error = |records, dimension| with_engine(records, dimension).err().unwrap();
        assert!(matches!(error(RECORDS + 1, 40), TrainError::PlanForOtherData { planned: 12, found: 13 }));
        assert!(matches!(error(RECORDS, 1), TrainError::Setting { setting: "dimension", .. }));
    }
}
