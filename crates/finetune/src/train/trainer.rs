//! The training loop, one step at a time.
//!
//! A step of DP-SGD (Abadi et al. 2016, algorithm 1, with Poisson batches): draw the batch, clip each record's gradient,
//! sum, add noise, divide by the expected batch size (all this is the step's [`mechanism`](super::mechanism)), update.
//! All randomness of a step comes from the secret seed and the step's number, so a step that is run again, after a crash
//! or from a checkpoint, has the same batch, noise and result: a retry never releases a second noising of one step.
//!
//! A private step may also be made in shards, each noised where it is summed: see [`Trainer::shard`].
//!
//! In private mode neither the realised batch nor an exact loss leaves this module, not into a log either.

mod fan_out;

use std::sync::Arc;

use dp::{Purpose, Released, SecretSeed};

use super::checkpoint::{self, Identity};
use super::fit::{check, start_values};
use super::mechanism::{self, Accumulate, StepMechanism};
use super::optimizer::State;
use super::{Privacy, TrainError, TrainingConfig};
use crate::adapter::Adapter;
use crate::channel::Correction;
use crate::engine::{Format, PackedEngine, Use};
use crate::gradient::GradientEngine;
use crate::lora::LoraLayout;
use crate::model::BaseModel;
use crate::parallel::for_each_in_order;
use crate::records::Records;

/// A training run.
pub struct Trainer {
    records: Records,
    config: TrainingConfig,
    mechanism: Box<dyn StepMechanism>,
    layout: LoraLayout,
    engine: Box<dyn GradientEngine>,
    state: State,
    identity: Identity,
    /// Mean loss of the last batch; never set in private mode.
    last_loss: Option<f64>,
    /// Noisy loss of the last step; only ever set where the plan pays for it.
    released_loss: Option<f64>,
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
        Self::start(model, records, config, seed, None)
    }

    /// Starts a run whose first values are those of `adapter`. What the optimiser remembers starts anew.
    ///
    /// The plan accounts for this run alone: whatever was spent on the adapter adds to it, for records that were in both.
    ///
    /// # Errors
    /// As of [`new`](Self::new); [`TrainError::OtherAdapter`] if its rank, alpha or target modules are not the configuration's.
    pub fn from_adapter(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        adapter: &Adapter,
    ) -> Result<Self, TrainError> {
        Self::start(model, records, config, seed, Some(adapter))
    }

    fn start(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        adapter: Option<&Adapter>,
    ) -> Result<Self, TrainError> {
        let layout = check(&model, &records, &config)?;
        let identity = Identity::new(model.sha256(), &records, &config, &seed).starting_from(adapter);
        let parameters = match adapter {
            Some(adapter) => start_values(adapter, &config, &layout)?,
            None => layout.initialise(&mut seed.stream(Purpose::AdapterInit, 0)),
        };
        let state = State::new(config.optimizer, parameters);
        Self::on_engine(model, records, config, seed, layout, state, identity)
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
        Self::go_on(model, records, config, seed, None, checkpoint)
    }

    /// [`resume`](Self::resume) of a run that began [with an adapter's values](Self::from_adapter), which must be given again.
    ///
    /// # Errors
    /// As of [`resume`](Self::resume), also if the adapter is another one.
    pub fn resume_from_adapter(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        adapter: &Adapter,
        checkpoint: &[u8],
    ) -> Result<Self, TrainError> {
        Self::go_on(model, records, config, seed, Some(adapter), checkpoint)
    }

    fn go_on(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        adapter: Option<&Adapter>,
        checkpoint: &[u8],
    ) -> Result<Self, TrainError> {
        let layout = check(&model, &records, &config)?;
        let identity = Identity::new(model.sha256(), &records, &config, &seed).starting_from(adapter);
        let state = checkpoint::read(checkpoint, &identity, config.optimizer, layout.parameters())?;
        if state.steps > config.privacy.steps() {
            return Err(TrainError::CorruptCheckpoint("it is beyond the last step".into()));
        }
        Self::on_engine(model, records, config, seed, layout, state, identity)
    }

    fn on_engine(
        model: Arc<BaseModel>,
        records: Records,
        config: TrainingConfig,
        seed: SecretSeed,
        layout: LoraLayout,
        state: State,
        identity: Identity,
    ) -> Result<Self, TrainError> {
        let packed = model.packed(Format::of(config.precision), Use::Training, config.threads)?;
        let scaling = config.lora.scaling();
        let mut engine = PackedEngine::new(packed, layout.clone(), scaling, config.max_length);
        if let (Some(channel), Correction::Forward { context }) = (records.channel(), config.correction) {
            engine = engine.with_channel(channel.clone(), context)?;
        }
        let engine = Box::new(engine);
        let mechanism = mechanism::of(&config, &layout, records.len(), seed);
        Self::assemble(engine, mechanism, records, config, layout, state, identity)
    }

    fn assemble(
        mut engine: Box<dyn GradientEngine>,
        mechanism: Box<dyn StepMechanism>,
        records: Records,
        config: TrainingConfig,
        layout: LoraLayout,
        state: State,
        identity: Identity,
    ) -> Result<Self, TrainError> {
        engine.set_parameters(&state.parameters)?;
        let (last_loss, released_loss) = (None, None);
        Ok(Self { records, config, mechanism, layout, engine, state, identity, last_loss, released_loss })
    }

    /// A run of the privacy audit: gradients of `dimension` values from any engine, steps by any mechanism.
    ///
    /// The values that are trained start at zero. What [`adapter`](Self::adapter) gives fits no model.
    ///
    /// # Errors
    /// [`TrainError`] says which setting or part of the plan does not fit.
    #[cfg(feature = "audit")]
    pub fn with_engine(
        engine: Box<dyn GradientEngine>,
        dimension: usize,
        records: Records,
        config: TrainingConfig,
        seed: &SecretSeed,
        mechanism: Box<dyn StepMechanism>,
    ) -> Result<Self, TrainError> {
        config.check(usize::MAX)?;
        super::fit::check_plan(&records, &config)?;
        if dimension < 2 {
            let value = dimension.to_string();
            return Err(TrainError::Setting { setting: "dimension", value, allowed: "at least 2" });
        }
        let layout = LoraLayout::without_model(dimension);
        let state = State::new(config.optimizer, vec![0.0; dimension]);
        let identity = Identity::new("no model".to_owned(), &records, &config, seed);
        Self::assemble(engine, mechanism, records, config, layout, state, identity)
    }

    /// Makes one step. After an error the run stands where it stood before, and the step may be tried again.
    ///
    /// # Errors
    /// [`TrainError::Finished`] after the last step, [`TrainError::Diverged`], or a failure of the model.
    pub fn step(&mut self) -> Result<(), TrainError> {
        self.advance(&mut |_| ())
    }

    /// [`step`](Self::step), which also shows the privacy audit the mean gradient that the step releases.
    ///
    /// # Errors
    /// As of [`step`](Self::step).
    #[cfg(feature = "audit")]
    pub fn step_observed(&mut self, see: &mut dyn FnMut(&[f32])) -> Result<(), TrainError> {
        self.advance(see)
    }

    fn advance(&mut self, see: &mut dyn FnMut(&[f32])) -> Result<(), TrainError> {
        let step = self.next_step()?;
        let (sum, loss) = self.accumulate(&self.mechanism.batch(step))?;
        let released = sum.release(step);
        see(&released.gradient);
        self.update(released)?;
        self.last_loss = match self.config.privacy {
            Privacy::DpSgd(_) => None,
            Privacy::NonPrivate { batch_size, .. } => Some(loss / batch_size as f64),
        };
        Ok(())
    }

    /// The number of the step to be made next.
    fn next_step(&self) -> Result<u64, TrainError> {
        let (step, total) = (self.completed_steps(), self.total_steps());
        if step < total { Ok(step) } else { Err(TrainError::Finished(total)) }
    }

    /// Takes the next step with what it releases.
    fn update(&mut self, released: Released) -> Result<(), TrainError> {
        let step = self.completed_steps();
        let mut next = self.state.clone();
        let learning_rate = self.config.learning_rate.at(step, self.total_steps());
        next.update(self.config.optimizer, &released.gradient, learning_rate, self.config.weight_decay);
        if !next.parameters.iter().all(|value| value.is_finite()) {
            return Err(TrainError::Diverged { step });
        }
        self.engine.set_parameters(&next.parameters)?;
        self.state = next;
        self.released_loss = released.loss;
        Ok(())
    }

    /// The batch's gradients, added in the batch's order; and the sum of its losses.
    fn accumulate(&self, batch: &[usize]) -> Result<(Box<dyn Accumulate + '_>, f64), TrainError> {
        let (mut sum, mut loss_sum) = (self.mechanism.accumulator(self.layout.parameters()), 0.0);
        self.for_each_gradient(batch, |gradient, loss| {
            sum.add(gradient, loss);
            loss_sum += loss;
        })?;
        Ok((sum, loss_sum))
    }

    /// Calls `see` with the gradient and the loss of each record of the batch, in the batch's order.
    fn for_each_gradient(
        &self,
        batch: &[usize],
        mut see: impl FnMut(&[f32], f64) + Send,
    ) -> Result<(), TrainError> {
        let gradient_of = |index: usize| {
            let mut gradient = vec![0.0; self.layout.parameters()];
            let loss = self.engine.add_record_gradient(self.records.get(batch[index]), &mut gradient)?;
            Ok::<_, TrainError>((gradient, loss))
        };
        for_each_in_order(batch.len(), self.config.threads, gradient_of, |(gradient, loss)| {
            see(&gradient, loss);
        })
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

    /// Mean loss of the last step's batch in nats a token, with noise: what the plan releases and pays for. `None` before the first step and
    /// where the plan releases none.
    pub fn released_loss(&self) -> Option<f64> {
        self.released_loss
    }

    /// The run's state as safetensors: LoRA values, what the optimiser remembers, step and hashes. The seed is not in it.
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

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
