use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dp::{Clipping, Delta, DpSgdPlan, NoisyShard, PlanParameters, PrivacyUnit};

use super::*;
use crate::channel::{Context, Correction};
use crate::model::ModelError;
use crate::ops::matrix::squared_norm;
use crate::train::trainer::tests::{
    RECORDS, clipped_sum, config, from_adapter, outcome, perturbed, plan, private, resume, run, scripted,
    trainer,
};
use crate::train::{Optimizer, Privacy, TrainingConfig};

fn count(shards: u32) -> ShardCount {
    ShardCount::try_from(shards).unwrap()
}

/// All shards of the next step.
fn fan_out(trainer: &Trainer, shards: u32) -> Vec<Vec<u8>> {
    (0..shards).map(|index| trainer.shard(index, count(shards)).unwrap()).collect()
}

/// Makes `steps` steps in shards, given last first.
fn run_in_shards(trainer: &mut Trainer, shards: u32, steps: u64) {
    for _ in 0..steps {
        let mut files = fan_out(trainer, shards);
        files.reverse();
        trainer.apply_shards(&files).unwrap();
    }
}

/// Makes `steps` steps with one trainer for each shard and one to put them together, as functions do: each
/// resumed from a checkpoint.
fn run_on_functions(
    checkpoint: Vec<u8>,
    shards: u32,
    steps: u64,
    resume: impl Fn(usize, &[u8]) -> Trainer,
) -> Trainer {
    let step = |checkpoint: Vec<u8>, _| {
        // The last one is run twice, as after a lost answer.
        let mut files: Vec<Vec<u8>> = (0..shards)
            .chain([shards - 1])
            .map(|index| resume(1 + index as usize, &checkpoint).shard(index, count(shards)).unwrap())
            .collect();
        let repeated = files.pop();
        assert_eq!(files.last(), repeated.as_ref());
        files.rotate_left(1);
        let mut reducer = resume(1, &checkpoint);
        reducer.apply_shards(&files).unwrap();
        reducer.checkpoint()
    };
    resume(1, &(0..steps).fold(checkpoint, step))
}

#[test]
fn the_order_and_the_machines_of_shards_change_no_bit_under_any_rule() {
    let sgd = |threads| TrainingConfig { optimizer: Optimizer::Sgd { momentum: 0.9 }, ..private(threads) };
    let auto = |threads| TrainingConfig { clipping: Clipping::Auto, ..private(threads) };
    let per_layer = |threads| TrainingConfig { clipping: Clipping::PerLayer, ..private(threads) };
    for settings in [private, sgd, auto, per_layer] {
        let mut seen = Vec::new();
        for shards in [1, 2, 5] {
            let mut whole = trainer(settings(2));
            run_in_shards(&mut whole, shards, 6);
            let functions =
                run_on_functions(trainer(settings(1)).checkpoint(), shards, 6, |threads, checkpoint| {
                    resume(settings(threads), checkpoint).unwrap()
                });
            assert_eq!(outcome(&functions), outcome(&whole), "{shards} shards");
            assert_eq!(functions.completed_steps(), 6);
            seen.push(outcome(&whole));
        }
        let mut undivided = trainer(settings(1));
        run(&mut undivided, 6);
        seen.push(outcome(&undivided));
        for (index, one) in seen.iter().enumerate() {
            assert!(
                seen[..index].iter().all(|other| other != one),
                "another number of shards draws other noise"
            );
        }
    }
}

#[test]
fn steps_of_a_corrected_run_are_split_alike() {
    for context in [Context::Received, Context::Denoised { passes: 2 }] {
        let settings =
            |threads| TrainingConfig { correction: Correction::Forward { context }, ..private(threads) };
        let mut whole = perturbed(settings(2), None).unwrap();
        run_in_shards(&mut whole, 3, 2);
        let start = perturbed(settings(1), None).unwrap().checkpoint();
        let functions = run_on_functions(start, 3, 2, |threads, checkpoint| {
            perturbed(settings(threads), Some(checkpoint)).unwrap()
        });
        assert_eq!(outcome(&functions), outcome(&whole), "{context:?}");
        let mut off = perturbed(TrainingConfig { correction: Correction::Off, ..private(1) }, None).unwrap();
        run_in_shards(&mut off, 3, 2);
        assert_ne!(off.adapter(), whole.adapter(), "{context:?} must make a difference");
    }
}

fn read(trainer: &Trainer, files: &[Vec<u8>]) -> Vec<NoisyShard> {
    let (step, origin) = (trainer.completed_steps(), trainer.origin());
    files.iter().map(|bytes| shard_file::read(bytes, step, &origin).unwrap()).collect()
}

#[test]
fn all_shards_together_hold_each_record_of_the_batch_once() {
    for clipping in [Clipping::Flat, Clipping::Auto, Clipping::PerLayer] {
        let settings = || TrainingConfig { clipping, ..config(Privacy::DpSgd(plan(0.8, 8, 6)), 2) };
        let trainer = trainer(settings());
        let batch = trainer.mechanism.batch(0);
        assert!(batch.len() > 4, "{batch:?} shows little");
        // The helper multiplies by 4, and this plan expects batches of 8.
        let expected: Vec<f32> = clipped_sum(&trainer, &batch).iter().map(|value| 2.0 * value).collect();
        assert!(squared_norm(&expected) > 0.01, "the sum is too small to show anything");
        for shards in [1, 2, 4, 12] {
            let plan = &trainer.mechanism.poisson_gaussian().unwrap().plan;
            let first = plan.shard(ShardId { step: 0, index: 0, count: count(shards) }).unwrap();
            let lattice = first.noise_multiplier() * plan.max_grad_norm() / f64::from(1 << 24);
            // Of gradients that are zero the noise is left.
            let with = read(&trainer, &fan_out(&trainer, shards));
            let noise = read(&trainer, &fan_out(&scripted(settings(), |_| Ok(0.0)), shards));
            let sum = |place: usize| {
                let difference =
                    |(with, noise): (&NoisyShard, &NoisyShard)| with.gradient[place] - noise.gradient[place];
                with.iter().zip(&noise).map(difference).sum::<i64>() as f64 * lattice
            };
            let gap = |(place, &expected): (usize, &f32)| (sum(place) - f64::from(expected)).abs();
            let gap = expected.iter().enumerate().map(gap).fold(0.0, f64::max);
            assert!(gap < 1e-6, "{clipping}, {shards} shards: {gap}");
        }
    }
}

/// A run that pays for its losses with noise multiplier `noise`; every record's loss is 4.
fn paid(noise: f64) -> Trainer {
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
}

#[test]
fn the_loss_of_all_shards_is_released_where_it_is_paid_for() {
    let losses = |noise| {
        let mut trainer = paid(noise);
        let mut step = || {
            run_in_shards(&mut trainer, 4, 1);
            assert_eq!(trainer.last_loss(), None);
            trainer.released_loss().unwrap()
        };
        [step(), step(), step()]
    };
    // The noise on the mean of twelve is 0.05·6.25/12, resp. twenty times that.
    assert!(losses(0.05).iter().all(|loss| (loss - 4.0).abs() < 0.12), "{:?}", losses(0.05));
    let noisy = losses(1.0);
    assert!(noisy.iter().any(|loss| (loss - 4.0).abs() > 0.12) && noisy == losses(1.0), "{noisy:?}");
    let mut unpaid = trainer(private(1));
    run_in_shards(&mut unpaid, 4, 1);
    assert_eq!((unpaid.last_loss(), unpaid.released_loss()), (None, None));
    assert_eq!(unpaid.epsilon_spent(), Some(plan(0.8, 4, 6).epsilon_after(1)));
}

#[test]
fn a_file_is_as_long_whatever_the_batch() {
    let trainer = trainer(private(1));
    let batch = |index| {
        let plan = &trainer.mechanism.poisson_gaussian().unwrap().plan;
        let shard = plan.shard(ShardId { step: 0, index, count: count(5) }).unwrap();
        shard.batch(&crate::fixtures::seed(3)).len()
    };
    let sizes: std::collections::BTreeSet<usize> = (0..5).map(batch).collect();
    assert!(sizes.len() > 1 && sizes.contains(&0), "{sizes:?}");
    let files = fan_out(&trainer, 5);
    assert!(files.iter().all(|file| file.len() == files[0].len()));
}

/// What stands in the way of making the step from `files`, which leaves the run as it was.
fn refused(trainer: &mut Trainer, files: &[Vec<u8>]) -> TrainError {
    let before = outcome(trainer);
    let error = trainer.apply_shards(files).unwrap_err();
    assert_eq!(outcome(trainer), before, "{error}");
    error
}

#[test]
fn files_that_do_not_make_up_the_step_are_refused_and_change_nothing() {
    let mut trainer = trainer(private(2));
    let earlier = fan_out(&trainer, 3);
    trainer.apply_shards(&earlier).unwrap();
    let files = fan_out(&trainer, 3);
    let with = |index: usize, file: Vec<u8>| {
        let mut files = files.clone();
        files[index] = file;
        files
    };
    let id = |step, index| ShardId { step, index, count: count(3) };
    let mut shard_error = |files: &[Vec<u8>]| match refused(&mut trainer, files) {
        TrainError::Shard(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(shard_error(&[]), ShardError::Count(0));
    assert_eq!(shard_error(&files[..2]), ShardError::Missing(id(1, 2)));
    assert_eq!(shard_error(&with(2, files[1].clone())), ShardError::Twice(id(1, 1)));
    assert_eq!(shard_error(&[files.clone(), files.clone()].concat()), ShardError::Twice(id(1, 0)));
    for (place, found) in [(0, id(0, 0)), (2, id(0, 2))] {
        let other = ShardError::OtherStep { found, step: 1, count: 3 };
        assert_eq!(shard_error(&with(place, earlier[place].clone())), other);
    }
    let otherwise = resume(private(1), &trainer.checkpoint()).unwrap().shard(1, count(4)).unwrap();
    let found = ShardId { step: 1, index: 1, count: count(4) };
    let other = TrainError::Shard(ShardError::OtherStep { found, step: 1, count: 3 });
    assert_eq!(refused(&mut trainer, &with(1, otherwise)).to_string(), other.to_string());
    for index in 0..3 {
        let cut = files[index][..files[index].len() - 1].to_vec();
        assert!(matches!(refused(&mut trainer, &with(index, cut)), TrainError::CorruptShard(_)));
    }
    // And what was refused was only that: the files themselves make the step.
    trainer.apply_shards(&files).unwrap();
    assert_eq!(trainer.completed_steps(), 2);
}

#[test]
fn files_of_another_run_or_state_are_refused_by_what_differs() {
    let mut trainer = trainer(private(1));
    let files = fan_out(&trainer, 2);
    let mismatch = |trainer: &mut Trainer, file: Vec<u8>| match refused(trainer, &[files[0].clone(), file]) {
        TrainError::ShardMismatch(what) => what,
        other => panic!("{other}"),
    };
    let noise = config(Privacy::DpSgd(plan(0.9, 4, 6)), 1);
    let other_plan = self::trainer(noise).shard(1, count(2)).unwrap();
    assert_eq!(mismatch(&mut trainer, other_plan), "configuration");
    let started = from_adapter(private(1), &trainer.adapter()).unwrap().shard(1, count(2)).unwrap();
    assert_eq!(mismatch(&mut trainer, started), "adapter to start from");
    // The same step of the same run, once reached in two shards and once in three.
    let mut otherwise = self::trainer(private(1));
    run_in_shards(&mut otherwise, 3, 1);
    let other_state = otherwise.shard(1, count(2)).unwrap();
    trainer.apply_shards(&files).unwrap();
    let files = fan_out(&trainer, 2);
    let error = refused(&mut trainer, &[files[0].clone(), other_state]);
    assert!(matches!(error, TrainError::ShardMismatch("state of the run before the step")), "{error}");
}

#[test]
fn what_cannot_be_split_is_refused() {
    let mut open = trainer(config(Privacy::NonPrivate { batch_size: 2, steps: 3 }, 1));
    assert!(matches!(open.shard(0, count(2)), Err(TrainError::NotSharded)));
    let files = fan_out(&trainer(private(1)), 2);
    assert!(matches!(refused(&mut open, &files), TrainError::NotSharded));

    let little = trainer(config(Privacy::DpSgd(plan(0.012, 4, 6)), 1));
    let error = little.shard(0, count(2)).unwrap_err();
    assert!(matches!(error, TrainError::Shard(ShardError::TooLittleNoise { max: 1, .. })), "{error}");
    let index = trainer(private(1)).shard(2, count(2)).unwrap_err();
    assert!(matches!(index, TrainError::Shard(ShardError::Index { index: 2, count: 2 })), "{index}");

    let mut done = trainer(private(1));
    run(&mut done, 5);
    let files = fan_out(&done, 2);
    done.apply_shards(&files).unwrap();
    assert!(matches!(done.shard(0, count(2)), Err(TrainError::Finished(6))));
    assert!(matches!(refused(&mut done, &files), TrainError::Finished(6)));
}

#[test]
fn a_shard_that_fails_may_be_tried_again() {
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let mut trainer = scripted(private(2), move |_| match switch.load(Ordering::Relaxed) {
        true => Err(ModelError::SequenceTooLong { length: 2, limit: 1 }),
        false => Ok(1.0),
    });
    let before = outcome(&trainer);
    assert!((0..2).any(|index| matches!(trainer.shard(index, count(2)), Err(TrainError::Model(_)))));
    broken.store(false, Ordering::Relaxed);
    let files = fan_out(&trainer, 2);
    assert_eq!(outcome(&trainer), before, "shards leave the run where it is");
    trainer.apply_shards(&files).unwrap();
}
