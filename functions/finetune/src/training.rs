//! The training loop of one slice: as many steps as fit before the deadline, at least one.

use crate::adapter_folder::{self, Provenance};
use crate::config;
use crate::data::Prepared;
use crate::losses::LossCurve;
use crate::problem::{Subject, permanent};
use crate::runner::{LoadedModel, Settings};
use bytes::Bytes;
use dp::{DpSgdPlan, ShardCount};
use finetune::{ModelError, Privacy, TrainError, Trainer};
use jobs::{Clock, SliceBudget, SliceError, SliceResult};
use protocol::state::{JobState, LossPoint, Progress, Report};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// All that a slice needs; it runs on one blocking thread and starts its own workers.
pub(crate) struct SliceTask {
    pub(crate) model: Arc<LoadedModel>,
    pub(crate) data: Arc<Prepared>,
    pub(crate) training_file_sha256: String,
    pub(crate) job: JobState,
    pub(crate) checkpoint: Option<Bytes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
}

impl SliceTask {
    pub(crate) fn run(self, budget: &SliceBudget) -> Result<SliceResult, SliceError> {
        let started = self.clock.monotonic();
        let plan = &self.job.protection.plan;
        let mut trainer = self.trainer(plan.clone())?;
        let (mut pace, mut curve) = (Pace::default(), LossCurve::new(plan.steps()));
        let progress = self.progress(&trainer, plan, Duration::ZERO);
        budget.live.set(Report { progress, losses: Vec::new() });
        while trainer.completed_steps() < trainer.total_steps() {
            let before = self.clock.monotonic();
            trainer.step().map_err(failure)?;
            let now = self.clock.monotonic();
            pace.record(now.saturating_sub(before));
            if let Some(loss) = trainer.released_loss() {
                curve.record(trainer.completed_steps(), loss);
            }
            let progress = self.progress(&trainer, plan, now.saturating_sub(started));
            budget.live.set(Report { progress, losses: curve.points() });
            if budget.stop.is_raised() || !pace.fits_another(now, budget.deadline, self.settings.margin) {
                break;
            }
        }
        let progress = self.progress(&trainer, plan, self.clock.monotonic().saturating_sub(started));
        let report = Report { progress, losses: curve.end(trainer.completed_steps()) };
        Ok(self.ended(&trainer, report))
    }

    /// The noised sum of one shard of the next step.
    pub(crate) fn shard(self, shard: u32) -> Result<Vec<u8>, SliceError> {
        let trainer = self.trainer(self.job.protection.plan.clone())?;
        trainer.shard(shard, self.workers()?).map_err(failure)
    }

    /// The next step, from its shards.
    pub(crate) fn reduce(self, shards: impl Iterator<Item = Bytes>) -> Result<SliceResult, SliceError> {
        let started = self.clock.monotonic();
        let plan = &self.job.protection.plan;
        let mut trainer = self.trainer(plan.clone())?;
        trainer.apply_shards(shards).map_err(failure)?;
        let step = trainer.completed_steps();
        let losses = trainer.released_loss().map(|loss| LossPoint { step, steps: 1, loss });
        let progress = self.progress(&trainer, plan, self.clock.monotonic().saturating_sub(started));
        Ok(self.ended(&trainer, Report { progress, losses: losses.into_iter().collect() }))
    }

    /// A checkpoint while steps remain, then the adapter.
    fn ended(&self, trainer: &Trainer, report: Report) -> SliceResult {
        if trainer.completed_steps() < trainer.total_steps() {
            return SliceResult::Paused { checkpoint: trainer.checkpoint(), report };
        }
        let provenance = self.provenance(&self.job.protection.plan);
        SliceResult::Finished { files: adapter_folder::files(&trainer.adapter(), &provenance), report }
    }

    fn workers(&self) -> Result<ShardCount, SliceError> {
        let workers = ShardCount::try_from(self.job.spec.dp_lora.workers);
        workers.map_err(|error| permanent(Subject::Settings, error))
    }

    fn trainer(&self, plan: DpSgdPlan) -> Result<Trainer, SliceError> {
        let positions = self.model.base.config().max_position_embeddings;
        let (settings, threads) = (&self.job.spec.dp_lora, self.settings.threads);
        let config = config::training_config(settings, Privacy::DpSgd(plan), positions, threads)
            .map_err(|error| permanent(Subject::Settings, error))?;
        let (model, records) = (Arc::clone(&self.model.base), self.data.records.clone());
        let seed = self.job.noise_seed.clone();
        let trainer = match &self.checkpoint {
            Some(checkpoint) => Trainer::resume(model, records, config, seed, checkpoint),
            None => Trainer::new(model, records, config, seed),
        };
        trainer.map_err(failure)
    }

    fn progress(&self, trainer: &Trainer, plan: &DpSgdPlan, trained: Duration) -> Progress {
        Progress {
            step: trainer.completed_steps(),
            total_steps: trainer.total_steps(),
            records: self.data.records.len() as u64,
            tokens: self.data.predicted_tokens,
            epsilon_spent: plan.epsilon_after(trainer.completed_steps()),
            epsilon_target: self.job.spec.dp_lora.epsilon.get(),
            delta: plan.delta().get(),
            noise_multiplier: plan.noise_multiplier(),
            seconds_trained: self.job.progress.seconds_trained + trained.as_secs_f64(),
            slices: self.job.progress.slices,
        }
    }

    fn provenance<'a>(&'a self, plan: &'a DpSgdPlan) -> Provenance<'a> {
        Provenance {
            job: Some(self.job.id.clone()),
            base_model: self.job.spec.model.as_str(),
            settings: &self.job.spec.dp_lora,
            plan,
            dataset_budget: Some(self.job.protection.budget),
            manifest: self.data.manifest.as_ref(),
            initial_adapter: BTreeMap::new(),
            tokenizer_json: &self.model.tokenizer_json,
            model_hashes: &self.model.hashes,
            training_file_sha256: &self.training_file_sha256,
            code_version: &self.settings.code_version,
            now: self.clock.now(),
            signing_key: self.settings.signing_key.as_ref(),
        }
    }
}

/// How long steps take.
#[derive(Debug, Default)]
struct Pace {
    longest: Duration,
}

impl Pace {
    fn record(&mut self, step: Duration) {
        self.longest = self.longest.max(step);
    }

    /// True when a step twice as long as the longest so far would still end `margin` before `deadline`: Poisson batches differ in size.
    fn fits_another(&self, now: Duration, deadline: Duration, margin: Duration) -> bool {
        now + 2 * self.longest + margin <= deadline
    }
}

/// Failures of the host may pass; everything else is the same the next time, for training is deterministic.
fn failure(error: TrainError) -> SliceError {
    match error {
        TrainError::Model(ModelError::Tensor(_) | ModelError::Io { .. }) => {
            SliceError::Retryable(error.to_string())
        }
        // Stored by another version of this program, or damaged: computed again, it may be well.
        TrainError::CorruptShard(_) | TrainError::ShardMismatch(_) => {
            SliceError::Retryable(error.to_string())
        }
        TrainError::Model(_) => permanent(Subject::Model, error),
        TrainError::NoRecords
        | TrainError::TokenOutOfRange { .. }
        | TrainError::PlanForOtherData { .. }
        | TrainError::PlanForOtherUnit { .. } => permanent(Subject::TrainingFile, error),
        _ => permanent(Subject::Settings, error),
    }
}

#[cfg(test)]
#[path = "training_tests.rs"]
mod tests;
