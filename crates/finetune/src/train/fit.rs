//! Whether model, data, plan and starting adapter fit one another, before a run begins.

use super::{Privacy, TrainError, TrainingConfig};
use crate::adapter::Adapter;
use crate::channel::CorrectionError;
use crate::lora::LoraLayout;
use crate::model::BaseModel;
use crate::records::Records;

/// Checks everything but the starting adapter, and lays out what is trained.
pub(super) fn check(
    model: &BaseModel,
    records: &Records,
    config: &TrainingConfig,
) -> Result<LoraLayout, TrainError> {
    config.check(model.config().max_position_embeddings)?;
    config.lora.check(model.config())?;
    check_plan(records, config)?;
    let (vocab_size, max_length) = (model.config().vocab_size, config.max_length);
    if let Some(channel) = records.channel().filter(|channel| channel.vocab_size() != vocab_size) {
        let max_id = channel.vocab_size() as u32 - 1;
        return Err(CorrectionError::Vocabulary { max_id, vocab_size }.into());
    }
    match (records.largest_token(), records.longest_chunk()) {
        (Some(token), _) if token as usize >= vocab_size => {
            Err(TrainError::TokenOutOfRange { token, vocab_size })
        }
        (_, found) if found > max_length => Err(TrainError::ChunkTooLong { found, max_length }),
        _ => Ok(LoraLayout::new(model.config(), &config.lora)?),
    }
}

/// An adapter's values, if they lie where this run's do.
pub(super) fn start_values(
    adapter: &Adapter,
    config: &TrainingConfig,
    layout: &LoraLayout,
) -> Result<Vec<f32>, TrainError> {
    let (given, run) = (adapter.config(), &config.lora);
    let modules = |layout: &LoraLayout| layout.target_modules().join(", ");
    let shapes = [
        ("rank", given.rank.to_string(), run.rank.to_string()),
        ("alpha", given.alpha.to_string(), run.alpha.to_string()),
        ("use_rslora", given.use_rslora.to_string(), run.use_rslora.to_string()),
        ("target_modules", modules(adapter.layout()), modules(layout)),
    ];
    match shapes.into_iter().find(|(_, adapter, run)| adapter != run) {
        Some((setting, adapter, run)) => Err(TrainError::OtherAdapter { setting, adapter, run }),
        None if adapter.layout() != layout => Err(TrainError::AdapterOfOtherModel),
        None => Ok(adapter.parameters().to_vec()),
    }
}

/// The data is what the plan was made for.
pub(super) fn check_plan(records: &Records, config: &TrainingConfig) -> Result<(), TrainError> {
    if records.is_empty() {
        return Err(TrainError::NoRecords);
    }
    if let Privacy::DpSgd(plan) = &config.privacy {
        if plan.records() != records.len() {
            return Err(TrainError::PlanForOtherData { planned: plan.records(), found: records.len() });
        }
        if plan.unit() != records.unit() {
            return Err(TrainError::PlanForOtherUnit { planned: plan.unit(), found: records.unit() });
        }
    }
    Ok(())
}
