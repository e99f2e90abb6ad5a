//! The audit of one training run by someone who sees its adapter alone.
//!
//! Canaries are records of random tokens, unlike any text, in the real model's own trainer. Their score is by how much
//! training lowered their loss. A canary whose coin says "out" is a record with no token to predict, whose gradient is zero.
//!
//! The adversary here knows far less than the accountant's, and the bound stays far below the claim even where some noise
//! is missing. It tells whether the whole way, from tokens to a released adapter, leaks grossly more than it may; that it can
//! tell anything is seen by running the same audit on training without privacy.

use std::sync::Arc;

use dp::{Delta, DpSgdPlan, Epsilon, PlanRequest, PrivacyUnit};
use finetune::{
    ALL_LINEAR, Adapter, BaseModel, DataError, LearningRate, LoraConfig, Privacy, RecordOptions, Records,
    Schedule, Trainer, TrainingConfig, evaluate,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::AuditError;
use crate::canaries::{toss, trainer_seed};
use crate::finding::{self, Finding, looks};

/// Size and claim of an audit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Canaries; there are no other records.
    pub canaries: usize,
    /// Tokens of one canary.
    pub tokens: usize,
    /// Mean size of a batch.
    pub batch_size: usize,
    /// Noisy steps.
    pub steps: u64,
    /// Peak step size.
    pub learning_rate: f64,
    /// ε that the plan is calibrated to.
    pub target_epsilon: f64,
    /// δ of the claim.
    pub delta: f64,
    /// Worker threads.
    pub threads: usize,
}

impl Default for Setting {
    /// 400 canaries of 8 tokens in 160 steps of 50 records, ε = 2 at δ = 1e-5: about a minute a run on two cores. Canaries
    /// are so short, and the learning rate is so low, that training without privacy remembers nearly all of them: there the
    /// audit gives 3.6, the most that guesses on two fifths of the canaries can, and at 2.5 times the learning rate 1.2.
    fn default() -> Self {
        Self {
            canaries: 400,
            tokens: 8,
            batch_size: 50,
            steps: 160,
            learning_rate: 2e-3,
            target_epsilon: 2.0,
            delta: 1e-5,
            threads: 2,
        }
    }
}

impl Setting {
    /// The plan of the audited run.
    ///
    /// # Errors
    /// [`AuditError`] if there is no such plan, or one whose claim no outcome could contradict.
    pub fn plan(&self) -> Result<DpSgdPlan, AuditError> {
        let plan = DpSgdPlan::calibrate(PlanRequest {
            records: self.canaries,
            expected_batch_size: self.batch_size,
            steps: self.steps,
            max_grad_norm: 1.0,
            target_epsilon: Epsilon::try_from(self.target_epsilon)?,
            delta: Delta::try_from(self.delta)?,
            unit: PrivacyUnit::Line,
            release_losses: false,
        })?;
        finding::check_power(&plan, self.canaries, 1)?;
        Ok(plan)
    }

    fn config(&self, privacy: Privacy) -> TrainingConfig {
        let learning_rate =
            LearningRate { peak: self.learning_rate, warmup_steps: 0, schedule: Schedule::Constant };
        let (max_length, threads) = (self.tokens, self.threads);
        // Every module has an adapter: what can remember most shows most.
        let lora = LoraConfig {
            rank: 16,
            alpha: 32.0,
            target_modules: vec![ALL_LINEAR.to_owned()],
            use_rslora: false,
        };
        TrainingConfig { lora, learning_rate, max_length, threads, ..TrainingConfig::new(privacy) }
    }
}

/// Trains once on the canaries that `seed` puts in, and audits the adapter against the claim of the setting's plan.
///
/// With `private` false the trainer has neither clipping nor noise, though the plan is claimed all the same: the control
/// that the audit must catch.
///
/// # Errors
/// [`AuditError`] if the plan, the records or the trainer refuse the setting.
pub fn audit(
    model: &Arc<BaseModel>,
    setting: &Setting,
    private: bool,
    seed: u64,
) -> Result<Finding, AuditError> {
    let plan = setting.plan()?;
    let present = toss(seed, setting.canaries);
    let sequences = random_sequences(seed, setting, model.config().vocab_size);
    let held = sequences
        .iter()
        .zip(&present)
        .map(|(tokens, &present)| if present { tokens.clone() } else { vec![] });
    let records = records(model, setting, &held.collect::<Vec<_>>())?;
    let privacy = match private {
        true => Privacy::DpSgd(plan.clone()),
        false => Privacy::NonPrivate { batch_size: setting.batch_size, steps: setting.steps },
    };
    let mut trainer = Trainer::new(model.clone(), records, setting.config(privacy), trainer_seed(seed))?;
    for _ in 0..setting.steps {
        trainer.step()?;
    }
    let before = losses(model, setting, None, &sequences)?;
    let after = losses(model, setting, Some(&trainer.adapter()), &sequences)?;
    let scores: Vec<f64> = before.iter().zip(&after).map(|(before, after)| before - after).collect();
    Ok(Finding::best(&plan, &looks("loss", &scores, &present)))
}

/// Uniform tokens; the coins come from the same seed by another stream.
fn random_sequences(seed: u64, setting: &Setting, vocab_size: usize) -> Vec<Vec<u32>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let mut token = || (rng.next_u64() % vocab_size as u64) as u32;
    (0..setting.canaries).map(|_| (0..setting.tokens).map(|_| token()).collect()).collect()
}

fn records(model: &BaseModel, setting: &Setting, sequences: &[Vec<u32>]) -> Result<Records, DataError> {
    let options = RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        ..RecordOptions::for_model(model.config(), PrivacyUnit::Line, setting.tokens, 1)
    };
    Records::from_sequences(sequences, &options)
}

fn losses(
    model: &BaseModel,
    setting: &Setting,
    adapter: Option<&Adapter>,
    sequences: &[Vec<u32>],
) -> Result<Vec<f64>, AuditError> {
    let loss = |sequence: &Vec<u32>| {
        let records = records(model, setting, std::slice::from_ref(sequence))?;
        Ok(evaluate(model, adapter, &records, 1)?.loss)
    };
    sequences.iter().map(loss).collect()
}

#[cfg(test)]
#[path = "black_box_tests.rs"]
mod tests;
