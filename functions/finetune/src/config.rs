//! From the owner's settings to the trainer's configuration. Whoever trains, the worker or the command line, takes it from here.

use finetune::channel::corrects;
use finetune::model::is_target_module;
use finetune::{
    ChannelCorrection, Context, Correction, CorrectionError, LearningRate, LoraConfig, Optimizer, Precision,
    Privacy, Records, Schedule, TrainingConfig,
};
use perturb::{ChannelUnit, Manifest, NeighbourTable, Tokenizer};
use protocol::hyperparameters::{self as asked, ATTENTION, DpLora};
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
        use_rslora: settings.use_rslora,
    };
    config.learning_rate = learning_rate(settings);
    config.optimizer = optimizer(settings.optimizer);
    config.weight_decay = settings.weight_decay;
    config.clipping = settings.clipping;
    config.precision = precision(settings.precision);
    config.max_length = max_length(settings, max_positions);
    config.max_chunks_per_record = settings.max_chunks_per_record as usize;
    config.threads = threads;
    config.correction = correction(settings.correction);
    Ok(config)
}

fn learning_rate(settings: &DpLora) -> LearningRate {
    let schedule = match settings.schedule {
        asked::Schedule::Constant => Schedule::Constant,
        asked::Schedule::Linear => Schedule::Linear,
        asked::Schedule::Cosine => Schedule::Cosine,
    };
    LearningRate { peak: settings.learning_rate, warmup_steps: settings.warmup_steps, schedule }
}

fn optimizer(optimizer: asked::Optimizer) -> Optimizer {
    match optimizer {
        asked::Optimizer::Adamw => Optimizer::AdamW,
        asked::Optimizer::Sgd { momentum } => Optimizer::Sgd { momentum },
    }
}

fn precision(precision: asked::Precision) -> Precision {
    match precision {
        asked::Precision::F32 => Precision::F32,
        asked::Precision::Bf16 => Precision::Bf16,
    }
}

fn correction(correction: asked::Correction) -> Correction {
    let context = match correction {
        asked::Correction::Off => return Correction::Off,
        asked::Correction::Received => Context::Received,
        asked::Correction::PosteriorMean => Context::PosteriorMean,
        asked::Correction::Denoised => Context::Denoised { passes: 1 },
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

/// Whether the model itself has them is the trainer's to check.
fn target_modules(settings: &DpLora) -> Result<Vec<String>, UnknownLayer> {
    if settings.target_modules == [ATTENTION] {
        // What the trainer takes for a list of none.
        return Ok(Vec::new());
    }
    match settings.target_modules.iter().find(|name| !is_target_module(name)) {
        Some(unknown) => Err(UnknownLayer(unknown.clone())),
        None => Ok(settings.target_modules.clone()),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
