//! The embeddings that a model reads in place of tokens it cannot see.
//!
//! Under a prior π that is the same everywhere, the posterior of x given y is π(x)·P(y | x) up to a factor, and the mean
//! embedding has a closed form, so one table `[v, d]` serves the whole run:
//!
//! ```text
//! Ē[y] = (lo·Σ_x π(x)·E[x] + (hi − lo)·Σ_{x∈T(y)} π(x)·E[x]) / (lo + (hi − lo)·Σ_{x∈T(y)} π(x))
//! ```
//!
//! Where the model's prediction takes the place of π, the row of each position is computed from the logits before it, in
//! blocks, as in the loss. No gradient flows through either: the posterior is a constant of the step, as in EM.

use candle_core::{Device, Tensor};

use super::{ChannelCorrection, Context};
use crate::lora::LoraTensors;
use crate::model::{BaseModel, ModelError};
use crate::ops::{RopeTable, posterior, read};

/// What one run needs to embed received tokens.
pub(crate) struct ContextEmbeddings {
    /// Ē; none where the received tokens are read as they are.
    mean: Option<Tensor>,
    passes: u32,
}

impl ContextEmbeddings {
    pub(crate) fn new(
        model: &BaseModel,
        channel: &ChannelCorrection,
        context: Context,
    ) -> Result<Self, ModelError> {
        Self::from_table(channel, context, model.config().hidden_size, || Ok(model.input_embeddings()?.0))
    }

    /// The same of an embedding table, row-major `[v, d]`, which is asked for where it is needed.
    pub(crate) fn from_table(
        channel: &ChannelCorrection,
        context: Context,
        d: usize,
        table: impl FnOnce() -> Result<Vec<f32>, ModelError>,
    ) -> Result<Self, ModelError> {
        let passes = match context {
            Context::Received => return Ok(Self { mean: None, passes: 0 }),
            Context::PosteriorMean => 0,
            Context::Denoised { passes } => passes,
        };
        let embeddings = table()?;
        let shape = (embeddings.len() / d, d);
        let mean = Tensor::from_vec(posterior_mean(channel, &embeddings, d), shape, &Device::Cpu)?;
        Ok(Self { mean: Some(mean), passes })
    }

    /// How often the model's prediction takes the place of the prior.
    pub(crate) fn passes(&self) -> u32 {
        self.passes
    }

    /// Mean embeddings `[t, d]` of the received `tokens`; `None` where they are read as they are.
    pub(crate) fn start(&self, tokens: &[u32]) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(mean) = &self.mean else { return Ok(None) };
        let d = mean.dim(1)?;
        let rows = |table: &[f32]| {
            let row = |&token: &u32| &table[token as usize * d..][..d];
            tokens.iter().flat_map(row).copied().collect()
        };
        Ok(Some(read(mean, rows)?))
    }

    /// Embeddings `[t, d]` of the received `tokens`, without a gradient; `lora` holds constants.
    pub(crate) fn embed(
        &self,
        model: &BaseModel,
        channel: &ChannelCorrection,
        tokens: &[u32],
        table: &RopeTable,
        lora: Option<&LoraTensors>,
    ) -> Result<Tensor, ModelError> {
        let Some(mean) = &self.mean else { return model.embed(tokens) };
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        let start = mean.index_select(&ids, 0)?;
        let mut x = start.clone();
        // The first token has nothing before it that predicts it.
        let received = &tokens[1..];
        for _ in 0..if received.is_empty() { 0 } else { self.passes } {
            let before = x.narrow(0, 0, received.len())?;
            let hidden = model.hidden_states_of(before, table, lora, None)?;
            let mut replace = |row: &mut [f32], index: usize| posterior(row, received[index], channel);
            let rest = model.map_logits_to_embeddings(&hidden, &mut replace)?;
            x = Tensor::cat(&[&start.narrow(0, 0, 1)?, &rest], 0)?;
        }
        Ok(x)
    }
}

/// Ē, row-major; rows of ids outside of the domain are E's own.
fn posterior_mean(channel: &ChannelCorrection, embeddings: &[f32], d: usize) -> Vec<f32> {
    let (hi, lo) = channel.weights();
    let add = |sum: &mut [f64], id: usize| {
        let row = &embeddings[id * d..][..d];
        sum.iter_mut().zip(row).for_each(|(s, e)| *s += channel.prior[id] * f64::from(*e));
    };
    let mut all = vec![0.0; d];
    (0..channel.vocab_size).for_each(|id| add(&mut all, id));
    let mut mean = embeddings.to_vec();
    for (y, row) in mean.chunks_exact_mut(d).enumerate() {
        let Some(plausible) = channel.plausible(y as u32) else { continue };
        let mut near = vec![0.0; d];
        plausible.iter().for_each(|&id| add(&mut near, id as usize));
        let near_prior: f64 = plausible.iter().map(|&id| channel.prior[id as usize]).sum();
        let weight = lo + (hi - lo) * near_prior;
        for ((value, all), near) in row.iter_mut().zip(&all).zip(&near) {
            *value = ((lo * all + (hi - lo) * near) / weight) as f32;
        }
    }
    mean
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
