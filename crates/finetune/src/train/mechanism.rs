//! One step's batch and release: the part of training that the privacy guarantee is about.
//!
//! A step draws a batch, adds the batch's per-record gradients to an accumulator in the batch's order, and hands what
//! the accumulator releases to the optimiser. Everything a record can influence passes through that one vector, so whoever
//! replaces the mechanism replaces the guarantee, and nothing else changes. Training has two, and
//! [`of`] picks by the configuration; the privacy audit puts broken ones in their place to see whether it notices.

// Public for the audit alone: without its feature nothing outside of the crate can name these.
#![cfg_attr(not(feature = "audit"), allow(unreachable_pub))]

use dp::{Clipper, Clipping, DpSgdPlan, Purpose, Released, SecretSeed, StepSum};
use rand::Rng;

use super::{Privacy, TrainingConfig};
use crate::lora::LoraLayout;
use crate::ops::matrix::add_scaled;

/// How a step's batch is drawn and how its gradients become the vector that leaves the step.
pub trait StepMechanism: Send + Sync {
    /// Indices of the records of a step's batch; the same ones whenever the step is run again.
    fn batch(&self, step: u64) -> Vec<usize>;

    /// An empty sum of gradients of `dimension` values.
    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_>;

    /// The mechanism of DP-SGD, if this is it: its steps, and no others, can be split into shards.
    fn poisson_gaussian(&self) -> Option<&PoissonGaussian> {
        None
    }
}

/// The sum of a batch's gradients before its release.
pub trait Accumulate: Send {
    /// Takes in one record's gradient and loss as the engine gave them; limiting their influence is this method's work.
    fn add(&mut self, gradient: &[f32], loss: f64);

    /// The mean gradient of step `step`, with the noise that belongs to it, and the noisy loss if the plan pays for one: all that the step
    /// may show of its batch.
    fn release(self: Box<Self>, step: u64) -> Released;
}

/// The mechanism that a configuration asks for.
pub(crate) fn of(
    config: &TrainingConfig,
    layout: &LoraLayout,
    records: usize,
    seed: SecretSeed,
) -> Box<dyn StepMechanism> {
    match &config.privacy {
        Privacy::DpSgd(plan) => {
            let clipper = Clipper::new(config.clipping, block_lengths(layout));
            Box::new(PoissonGaussian { plan: plan.clone(), clipper, seed })
        }
        &Privacy::NonPrivate { batch_size, .. } => Box::new(ShuffledMean { records, batch_size, seed }),
    }
}

/// How many values of the flat vector belong to each transformer block, in order.
fn block_lengths(layout: &LoraLayout) -> Vec<usize> {
    let blocks = layout.entries().chunk_by(|a, b| a.layer == b.layer);
    let starts: Vec<usize> = blocks.map(|block| block[0].a_offset).chain([layout.parameters()]).collect();
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The mechanism of DP-SGD (Abadi et al. 2016, algorithm 1, with Poisson batches), which [`DpSgdPlan`] accounts for.
#[derive(Debug, Clone)]
pub struct PoissonGaussian {
    /// Sampling rate, clipping norm, noise and divisor.
    pub plan: DpSgdPlan,
    /// What is done to a gradient before the plan's sum clips it, under any rule to the same norm.
    pub clipper: Clipper,
    /// Where the batches and the noise come from.
    pub seed: SecretSeed,
}

impl StepMechanism for PoissonGaussian {
    fn batch(&self, step: u64) -> Vec<usize> {
        self.plan.batch(&self.seed, step)
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        let limiter = Limiter::new(self);
        Box::new(GaussianSum { seed: &self.seed, sum: self.plan.step(dimension), limiter })
    }

    fn poisson_gaussian(&self) -> Option<&PoissonGaussian> {
        Some(self)
    }
}

/// The clipping rule at the plan's norm.
pub(crate) struct Limiter<'a> {
    clipper: &'a Clipper,
    max_norm: f64,
    /// The gradient that is being limited; kept for the next one's room.
    limited: Vec<f32>,
}

impl<'a> Limiter<'a> {
    pub(crate) fn new(mechanism: &'a PoissonGaussian) -> Self {
        let PoissonGaussian { plan, clipper, .. } = mechanism;
        Self { clipper, max_norm: plan.max_grad_norm(), limited: Vec::new() }
    }

    /// The gradient as the rule leaves it, for a sum of the plan to clip.
    pub(crate) fn limit<'b>(&'b mut self, gradient: &'b [f32]) -> &'b [f32] {
        if self.clipper.rule() == Clipping::Flat {
            return gradient;
        }
        self.limited.clear();
        self.limited.extend_from_slice(gradient);
        self.clipper.limit(&mut self.limited, self.max_norm);
        &self.limited
    }
}

/// The plan's own sums, with the seed of their noise.
struct GaussianSum<'a> {
    seed: &'a SecretSeed,
    sum: StepSum<'a>,
    limiter: Limiter<'a>,
}

impl Accumulate for GaussianSum<'_> {
    fn add(&mut self, gradient: &[f32], loss: f64) {
        self.sum.add(self.limiter.limit(gradient), loss);
    }

    fn release(self: Box<Self>, step: u64) -> Released {
        self.sum.release(self.seed, step)
    }
}

/// Training without protection: shuffled batches of a fixed size, no clipping, no noise.
struct ShuffledMean {
    records: usize,
    batch_size: usize,
    seed: SecretSeed,
}

impl StepMechanism for ShuffledMean {
    fn batch(&self, step: u64) -> Vec<usize> {
        shuffled_batch(&self.seed, self.records, self.batch_size, step)
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        Box::new(PlainSum { sum: vec![0.0; dimension], divisor: self.batch_size })
    }
}

struct PlainSum {
    sum: Vec<f32>,
    divisor: usize,
}

impl Accumulate for PlainSum {
    fn add(&mut self, gradient: &[f32], _: f64) {
        add_scaled(&mut self.sum, 1.0, gradient);
    }

    fn release(mut self: Box<Self>, _: u64) -> Released {
        let divisor = self.divisor as f32;
        self.sum.iter_mut().for_each(|value| *value /= divisor);
        Released { gradient: self.sum, loss: None }
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
#[path = "mechanism_tests.rs"]
mod tests;
