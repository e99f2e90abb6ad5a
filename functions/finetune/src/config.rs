//! From the owner's settings to the trainer's configuration. Whoever trains, the worker or the command line, takes it from here.

use finetune::channel::corrects;
use finetune::{
    ChannelCorrection, Context, Correction, CorrectionError, LearningRate, LoraConfig, Privacy, Records,
    Schedule, TargetModule, TrainingConfig,
};
use perturb::{ChannelUnit, Manifest, NeighbourTable, Tokenizer};
use protocol::hyperparameters::DpLora;
use std::sync::Arc;

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
    config.correction = correction(settings.correction);
    Ok(config)
}

fn correction(asked: protocol::hyperparameters::Correction) -> Correction {
    use protocol::hyperparameters::Correction as Asked;
    let context = match asked {
        Asked::Off => return Correction::Off,
        Asked::Received => Context::Received,
        Asked::PosteriorMean => Context::PosteriorMean,
        Asked::Denoised => Context::Denoised { passes: 1 },
    };
    Correction::Forward { context }
}

/// The records with what the trainer is to know of their channel; as they are where there is nothing that it could use.
///
/// # Errors
/// [`CorrectionError`] if the table is not the one that the text was perturbed with.
pub fn with_channel(
    records: Records,
    manifest: Option<&Manifest>,
    tokenizer: &Tokenizer,
    table: Option<&NeighbourTable>,
    vocab_size: usize,
) -> Result<Records, CorrectionError> {
    match manifest {
        Some(manifest) if manifest.channel_unit == ChannelUnit::Token && corrects(manifest.mechanism) => {
            let channel = ChannelCorrection::new(manifest, tokenizer.domain(), table, vocab_size)?;
            Ok(records.with_channel(Arc::new(channel)))
        }
        _ => Ok(records),
    }
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
