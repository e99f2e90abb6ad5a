//! From the owner's settings and the number of records to a privacy plan and a training configuration.

use crate::problem::{Subject, permanent};
use dp::{DpSgdPlan, PlanRequest, default_delta};
use finetune::{LearningRate, LoraConfig, Privacy, Records, Schedule, TargetModule, TrainingConfig};
use jobs::SliceError;
use protocol::hyperparameters::DpLora;

/// The plan of the whole run. It follows from its arguments alone, so every slice finds the same one.
///
/// # Errors
/// A permanent error when the target cannot be met.
pub(crate) fn privacy_plan(settings: &DpLora, records: &Records) -> Result<DpSgdPlan, SliceError> {
    let count = records.len();
    let expected_batch_size = (settings.batch_size as usize).min(count);
    let request = PlanRequest {
        records: count,
        expected_batch_size,
        steps: settings.duration.steps(count, expected_batch_size),
        max_grad_norm: settings.max_grad_norm,
        target_epsilon: settings.epsilon,
        delta: settings.delta.unwrap_or_else(|| default_delta(count)),
        unit: records.unit(),
    };
    DpSgdPlan::calibrate(request).map_err(|error| permanent(Subject::Settings, error))
}

/// The trainer's configuration.
///
/// # Errors
/// A permanent error for a layer that the trainer does not know.
pub(crate) fn training_config(
    settings: &DpLora,
    plan: DpSgdPlan,
    max_positions: usize,
    threads: usize,
) -> Result<TrainingConfig, SliceError> {
    let mut config = TrainingConfig::new(Privacy::DpSgd(plan));
    config.lora = LoraConfig {
        rank: settings.rank as usize,
        alpha: settings.alpha,
        target_modules: target_modules(settings)?,
    };
    config.learning_rate =
        LearningRate { peak: settings.learning_rate, warmup_steps: 0, schedule: Schedule::Linear };
    config.max_length = (settings.max_length as usize).min(max_positions);
    config.max_chunks_per_record = settings.max_chunks_per_record as usize;
    config.threads = threads;
    Ok(config)
}

fn target_modules(settings: &DpLora) -> Result<Vec<TargetModule>, SliceError> {
    let module = |name: &String| {
        let unknown = || permanent(Subject::Settings, format!("`{name}` is not a layer that can be trained"));
        TargetModule::from_name(name).ok_or_else(unknown)
    };
    settings.target_modules.iter().map(module).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
