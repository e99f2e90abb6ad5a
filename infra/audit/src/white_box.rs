//! The audit of one training run by someone who sees every step's release.
//!
//! That is the adversary of the accountant: all noisy mean gradients are known, the batches and the noise are not. The
//! engine gives canaries in place of a model's gradients; sampling, clipping, noise and the update are the trainer's own.
//!
//! Choice of the plan: a limited number of canaries can show only so much
//! ([`largest_bound`](crate::bound::largest_bound)), so the claim must lie well below that, or no bug could be caught. Many
//! slots with many epochs tell shuffled batches from Poisson ones (the gap grows as √S), and a noise multiplier below 1 makes
//! halving the noise cost the most.

use dp::{Delta, DpSgdPlan, Epsilon, PlanRequest, PrivacyUnit};
use finetune::{Privacy, Trainer, TrainingConfig};

use crate::AuditError;
use crate::attacks::{Attack, Model};
use crate::broken::Subject;
use crate::canaries::{CanaryEngine, numbered_records, toss, trainer_seed};
use crate::finding::{self, Finding, looks};

/// The claim of the control: weaker than an audit's own, and still one that 2,000 canaries could refute.
const WEAKER_EPSILON: f64 = 5.0;

/// Size and claim of an audit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Canaries.
    pub canaries: usize,
    /// All records, canaries included.
    pub records: usize,
    /// Mean size of a batch.
    pub batch_size: usize,
    /// Passes over the data, in expectation.
    pub epochs: u64,
    /// ε that the plan is calibrated to.
    pub target_epsilon: f64,
    /// δ of the claim.
    pub delta: f64,
}

impl Default for Setting {
    /// 2,000 canaries among 2,400 records, 200 batches an epoch, 20 epochs, ε = 3 at δ = 1e-5: one or two seconds a run.
    /// If all guesses are right, those on all, two fifths or a fifth of the canaries show an ε of 5.6, 4.7 or 4.0: a claim
    /// of 4 would leave half the noise uncaught, one of 3 leaves some room.
    fn default() -> Self {
        Self { canaries: 2000, records: 2400, batch_size: 12, epochs: 20, target_epsilon: 3.0, delta: 1e-5 }
    }
}

impl Setting {
    /// The plan of the audited run.
    ///
    /// # Errors
    /// [`AuditError`] if there is no such plan, or one whose claim no outcome could contradict.
    pub fn plan(&self) -> Result<DpSgdPlan, AuditError> {
        let Self { records, batch_size, canaries, .. } = *self;
        if batch_size == 0 || !records.is_multiple_of(batch_size) {
            return Err(AuditError::UnevenBatches { records, batch_size });
        }
        let plan = DpSgdPlan::calibrate(PlanRequest {
            records,
            expected_batch_size: batch_size,
            steps: self.epochs * (records / batch_size) as u64,
            max_grad_norm: 1.0,
            target_epsilon: Epsilon::try_from(self.target_epsilon)?,
            delta: Delta::try_from(self.delta)?,
            unit: PrivacyUnit::Line,
            release_losses: false,
        })?;
        finding::check_power(&plan, canaries, Attack::ALL.len())?;
        Ok(plan)
    }

    /// The honest trainer, every broken one, and a control: the honest trainer with a weaker plan that says so.
    ///
    /// # Errors
    /// As of [`plan`](Self::plan).
    pub fn cases(&self) -> Result<Vec<Case>, AuditError> {
        let plan = self.plan()?;
        let case = |subject: Subject| {
            let (name, broken) = (subject.name(), subject.is_broken());
            Case { name, subject, plan: plan.clone(), broken }
        };
        let mut cases: Vec<Case> = Subject::ALL.into_iter().map(case).collect();
        let (name, subject) = ("honest, weaker claim", Subject::Honest);
        let plan = Self { target_epsilon: WEAKER_EPSILON, ..*self }.plan()?;
        cases.insert(1, Case { name, subject, plan, broken: false });
        Ok(cases)
    }
}

/// A trainer, the plan that it is given, and what the audit should say.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name for reports.
    pub name: &'static str,
    /// What trains.
    pub subject: Subject,
    /// What it claims to follow.
    pub plan: DpSgdPlan,
    /// Whether the claim is false, so that the audit should refute it.
    pub broken: bool,
}

/// Trains once under the name of `plan` and audits what is released; `seed` decides coins, batches and noise.
///
/// # Errors
/// [`AuditError`] if the trainer refuses the plan or stops.
pub fn audit(subject: Subject, plan: &DpSgdPlan, canaries: usize, seed: u64) -> Result<Finding, AuditError> {
    let present = toss(seed, canaries);
    let releases = observe(subject, plan, &present, seed)?;
    let model = Model::fit(plan.sampling_rate(), plan.noise_multiplier(), &releases);
    let steps = plan.steps() as usize;
    let looks = Attack::ALL.into_iter().flat_map(|attack| {
        let scores: Vec<f64> = releases.chunks(steps).map(|u| attack.score(u, &model)).collect();
        looks(attack.name(), &scores, &present)
    });
    Ok(Finding::best(plan, &looks.collect::<Vec<_>>()))
}

/// Runs the real trainer and collects what it releases of each canary, in units of one clipped record: all steps of
/// canary 0, then all of canary 1, and so on.
fn observe(subject: Subject, plan: &DpSgdPlan, present: &[bool], seed: u64) -> Result<Vec<f32>, AuditError> {
    let seed = trainer_seed(seed);
    let engine = CanaryEngine::new(present.to_vec(), plan.max_grad_norm());
    let dimension = engine.dimension();
    let records = numbered_records(plan.records())?;
    let config = TrainingConfig::new(Privacy::DpSgd(plan.clone()));
    let mechanism = subject.mechanism(plan, seed.clone())?;
    let mut trainer = Trainer::with_engine(Box::new(engine), dimension, records, config, &seed, mechanism)?;

    let steps = plan.steps() as usize;
    let unit = (plan.expected_batch_size() as f64 / plan.max_grad_norm()) as f32;
    let mut releases = vec![0.0; present.len() * steps];
    for step in 0..steps {
        trainer.step_observed(&mut |gradient| {
            for (canary, value) in gradient[..present.len()].iter().enumerate() {
                releases[canary * steps + step] = value * unit;
            }
        })?;
    }
    Ok(releases)
}

#[cfg(test)]
#[path = "white_box_tests.rs"]
mod tests;
