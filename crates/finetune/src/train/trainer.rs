//! The training loop, one step at a time.
//!
//! A step of DP-SGD (Abadi et al. 2016, algorithm 1, with Poisson batches): draw the batch, clip each record's gradient,
//! sum, add noise, divide by the expected batch size, update. All randomness of a step comes from the secret seed and
//! the step's number, so a step that is run again, after a crash or from a checkpoint, has the same batch, noise and
//! result: a retry never releases a second noising of one step.
//!
//! In private mode neither the realised batch nor a loss leaves this module, not into a log either.

use std::sync::Arc;

use dp::{Purpose, SecretSeed};
use rand::Rng;

use super::adamw::AdamW;
use super::checkpoint::{self, Identity};
use super::clipping::clip;
use super::{Privacy, TrainError, TrainingConfig};
use crate::adapter::Adapter;
use crate::gradient::{CandleEngine, GradientEngine};
use crate::lora::LoraLayout;
use crate::model::BaseModel;
use crate::ops::matrix::add_scaled;
use crate::parallel::for_each_in_order;
use crate::records::Records;

/// A training run.
pub struct Trainer {
    records: Records,
    config: TrainingConfig,
    seed: SecretSeed,
    layout: LoraLayout,
    engine: Box<dyn GradientEngine>,
    state: AdamW,
    identity: Identity,
    /// Mean loss of the last batch; never set in private mode.
    last_loss: Option<f64>,
}

impl Trainer {
    /// Starts a run; the adapter's first values come from `seed`.
    ///
    /// # Errors
    /// [`TrainError`] says which setting, record or part of the plan does not fit.
    pub fn new(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
    ) -> Result<Self, TrainError> {
        let layout = check(&model, &records, &config)?;
        let parameters = layout.initialise(&mut seed.stream(Purpose::AdapterInit, 0));
        Self::assemble(model, records, config, seed, layout, AdamW::new(parameters))
    }

    /// Continues the run of `checkpoint`, bit for bit as if it had never stopped (on the same kind of processor: the
    /// matrix products pick their instructions by it).
    ///
    /// # Errors
    /// [`TrainError::CheckpointMismatch`] if the model, the data, a setting other than `threads`, or the seed differ.
    pub fn resume(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        checkpoint: &[u8],
    ) -> Result<Self, TrainError> {
        let layout = check(&model, &records, &config)?;
        let identity = Identity::new(&model, &records, &config, &seed);
        let state = checkpoint::read(checkpoint, &identity, layout.parameters())?;
        if state.steps > config.privacy.steps() {
            return Err(TrainError::CorruptCheckpoint("it is beyond the last step".into()));
        }
        Self::assemble(model, records, config, seed, layout, state)
    }

    fn assemble(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        layout: LoraLayout,
        state: AdamW,
    ) -> Result<Self, TrainError> {
        let identity = Identity::new(&model, &records, &config, &seed);
        let scaling = config.lora.scaling();
        let mut engine = Box::new(CandleEngine::new(model, layout.clone(), scaling, config.max_length)?);
        engine.set_parameters(&state.parameters)?;
        Ok(Self { records, config, seed, layout, engine, state, identity, last_loss: None })
    }

    /// Makes one step. After an error the run stands where it stood before, and the step may be tried again.
    ///
    /// # Errors
    /// [`TrainError::Finished`] after the last step, [`TrainError::Diverged`], or a failure of the model.
    pub fn step(&mut self) -> Result<(), TrainError> {
        let (step, total) = (self.completed_steps(), self.total_steps());
        if step >= total {
            return Err(TrainError::Finished(total));
        }
        let batch = self.batch(step);
        let (mut gradient, loss) = self.gradient_sum(&batch)?;
        if let Privacy::DpSgd(plan) = &self.config.privacy {
            let mut rng = self.seed.stream(Purpose::GradientNoise, step);
            dp::gaussian::add_noise(&mut rng, plan.noise_standard_deviation(), &mut gradient);
        }
        let divisor = self.config.privacy.batch_divisor() as f32;
        gradient.iter_mut().for_each(|value| *value /= divisor);

        let mut next = self.state.clone();
        let learning_rate = self.config.learning_rate.at(step, total);
        next.update(&gradient, learning_rate, self.config.weight_decay);
        if !next.parameters.iter().all(|value| value.is_finite()) {
            return Err(TrainError::Diverged { step });
        }
        self.engine.set_parameters(&next.parameters)?;
        self.state = next;
        self.last_loss = match self.config.privacy {
            Privacy::DpSgd(_) => None,
            Privacy::NonPrivate { batch_size, .. } => Some(loss / batch_size as f64),
        };
        Ok(())
    }

    /// Indices of the records of a step's batch.
    fn batch(&self, step: u64) -> Vec<usize> {
        match &self.config.privacy {
            Privacy::DpSgd(plan) => {
                let mut rng = self.seed.stream(Purpose::PoissonSampling, step);
                dp::poisson::sample_batch(&mut rng, self.records.len(), plan.sampling_rate())
            }
            Privacy::NonPrivate { batch_size, .. } => {
                shuffled_batch(&self.seed, self.records.len(), *batch_size, step)
            }
        }
    }

    /// Sum of the batch's gradients, clipped in private mode, taken in the batch's order; and the sum of its losses.
    fn gradient_sum(&self, batch: &[usize]) -> Result<(Vec<f32>, f64), TrainError> {
        let max_norm = match &self.config.privacy {
            Privacy::DpSgd(plan) => Some(plan.max_grad_norm()),
            Privacy::NonPrivate { .. } => None,
        };
        let gradient_of = |index: usize| {
            let mut gradient = vec![0.0; self.layout.parameters()];
            let record = self.records.get(batch[index]);
            let loss = self.engine.add_record_gradient(record, &mut gradient)?;
            if let Some(max_norm) = max_norm {
                clip(&mut gradient, max_norm);
            }
            Ok::<_, TrainError>((gradient, loss))
        };
        let (mut sum, mut loss_sum) = (vec![0.0; self.layout.parameters()], 0.0);
        for_each_in_order(batch.len(), self.config.threads, gradient_of, |(gradient, loss)| {
            add_scaled(&mut sum, 1.0, &gradient);
            loss_sum += loss;
        })?;
        Ok((sum, loss_sum))
    }

    /// Steps made so far.
    pub fn completed_steps(&self) -> u64 {
        self.state.steps
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.config.privacy.steps()
    }

    /// ε spent by the steps made so far, at the plan's δ; `None` in non-private mode.
    pub fn epsilon_spent(&self) -> Option<f64> {
        match &self.config.privacy {
            Privacy::DpSgd(plan) => Some(plan.epsilon_after(self.completed_steps())),
            Privacy::NonPrivate { .. } => None,
        }
    }

    /// Mean loss of the last batch before its update; always `None` in private mode, where it would be a release.
    pub fn last_loss(&self) -> Option<f64> {
        self.last_loss
    }

    /// The run's state as safetensors: LoRA values, AdamW moments, step and hashes. The seed is not in it.
    ///
    /// A checkpoint is private to the run: only the adapter is meant to be released.
    pub fn checkpoint(&self) -> Vec<u8> {
        checkpoint::write(&self.state, &self.identity)
    }

    /// The adapter as it is now.
    pub fn adapter(&self) -> Adapter {
        Adapter::new(self.config.lora.clone(), self.layout.clone(), self.state.parameters.clone())
    }
}

fn check(model: &BaseModel, records: &Records, config: &TrainingConfig) -> Result<LoraLayout, TrainError> {
    config.check(model.config().max_position_embeddings)?;
    config.lora.check(model.config())?;
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
    let (vocab_size, max_length) = (model.config().vocab_size, config.max_length);
    match (records.largest_token(), records.longest_chunk()) {
        (Some(token), _) if token as usize >= vocab_size => {
            Err(TrainError::TokenOutOfRange { token, vocab_size })
        }
        (_, found) if found > max_length => Err(TrainError::ChunkTooLong { found, max_length }),
        _ => Ok(LoraLayout::new(model.config(), &config.lora)),
    }
}

/// Positions `step·size ..` of an endless row of shuffles of all records: every record once an epoch.
fn shuffled_batch(seed: &SecretSeed, records: usize, size: usize, step: u64) -> Vec<usize> {
    let start = step * size as u64;
    let mut shuffle: Option<(u64, Vec<usize>)> = None;
    (start..start + size as u64)
        .map(|position| {
            let (epoch, index) = (position / records as u64, (position % records as u64) as usize);
            if shuffle.as_ref().is_none_or(|(current, _)| *current != epoch) {
                shuffle = Some((epoch, permutation(seed, records, epoch)));
            }
            shuffle.as_ref().map_or(0, |(_, order)| order[index])
        })
        .collect()
}

/// Fisher–Yates with the stream of an epoch.
fn permutation(seed: &SecretSeed, records: usize, epoch: u64) -> Vec<usize> {
    let mut rng = seed.stream(Purpose::PoissonSampling, epoch);
    let mut order: Vec<usize> = (0..records).collect();
    for last in (1..records).rev() {
        // The bias of a 64-bit remainder is below 2⁻³², which training without privacy does not notice.
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
