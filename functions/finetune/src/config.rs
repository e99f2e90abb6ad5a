//! From the owner's settings to the trainer's configuration. Whoever trains, the worker or the command line, takes it from here.

use finetune::{LearningRate, LoraConfig, Privacy, Schedule, TargetModule, TrainingConfig};
use protocol::hyperparameters::DpLora;

/// A layer that the API knows and the trainer does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLayer(pub String);

impl std::fmt::Display for UnknownLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is not a layer that can be trained", self.0)
    }
}

impl std::error::Error for UnknownLayer {}

/// The trainer's configuration for a model with `max_positions` positions.
///
/// # Errors
/// [`UnknownLayer`].
pub fn training_config(
    settings: &DpLora,
    privacy: Privacy,
    max_positions: usize,
    threads: usize,
) -> Result<TrainingConfig, UnknownLayer> {
    let mut config = TrainingConfig::new(privacy);
    config.lora = LoraConfig {
        rank: settings.rank as usize,
        alpha: settings.alpha,
        target_modules: target_modules(settings)?,
    };
    config.learning_rate =
        LearningRate { peak: settings.learning_rate, warmup_steps: 0, schedule: Schedule::Linear };
    config.max_length = max_length(settings, max_positions);
    config.max_chunks_per_record = settings.max_chunks_per_record as usize;
    config.threads = threads;
    Ok(config)
}

/// Tokens of one sequence: what was asked for, or all that the model has positions for.
pub fn max_length(settings: &DpLora, max_positions: usize) -> usize {
    (settings.max_length as usize).min(max_positions)
}

fn target_modules(settings: &DpLora) -> Result<Vec<TargetModule>, UnknownLayer> {
    let module = |name: &String| TargetModule::from_name(name).ok_or_else(|| UnknownLayer(name.clone()));
    settings.target_modules.iter().map(module).collect()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
