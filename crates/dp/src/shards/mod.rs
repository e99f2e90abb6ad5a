//! A DP-SGD step in K shards that are noised where they are summed.
//!
//! # Contract
//! Shard k of K takes the records of the step's Poisson batch whose index is k modulo K, and releases its
//! clipped sum as whole numbers of the lattice s_K·ℤ^d, s_K = z_K·C / 2²⁴; the step's release is their exact
//! sum, scaled:
//!
//! ```text
//! z_K     ≥ z/√K, the next numbers of f64 above it (K = 1: z itself)
//! shard_k = Σ point(v) + N_k,   N_k = rounded Gaussians of standard deviation σ = 2²⁴, one a coordinate
//! release = s_K/B · Σ_k shard_k,   B = the plan's expected batch size
//! ```
//!
//! `point` is that of [`ClippedSum`](crate::ClippedSum) at the multiplier z_K, so one record moves the sum by
//! at most 2²⁴/z_K steps. A released loss is split in the same way, z_l for z. No sum without noise leaves a
//! shard.
//!
//! Guarantee: the release is at least as private as the Gaussian mechanism of noise multiplier z on the whole
//! batch, in every accountant, so the plan's ε stands. A shard by itself is the Gaussian mechanism of
//! multiplier z_K on its own records.
//!
//! # Why the sum of rounded Gaussians is enough
//! Let f be the density of N(0, σ²), and u that of the uniform distribution on (−½, ½). A rounded Gaussian
//! has the probabilities (f∗u)(n). By Poisson summation the probabilities of a sum of K of them are
//!
//! ```text
//! (f∗u)^{∗K}(n) = ∫ f_K(y)·β_K(n − y) dy,   f_K the density of N(0, K·σ²), β_K = u^{∗K},
//! ```
//!
//! up to less than K²·e^(−π²σ²) at any n: the products in which two aliases of the transform of f∗u differ.
//! (Those of the aliases i ≠ j at the frequency θ are at most exp(−σ²(θ + π(i+j))² − π²σ²(i−j)²) in size;
//! there are K(K−1)/2 pairs of factors, and each other factor adds up to no more than 1 + 3e^(−2π²σ²).) Tails
//! included, the two are within e^(−2⁵¹) in total variation.
//!
//! β_K is the cardinal B-spline of order K: it is not negative, and its integer translates are a partition of
//! unity, Σ_n β_K(n − y) = 1 (Schoenberg 1946; de Boor 1978, "A Practical Guide to Splines"). So y ↦ "n with
//! probability β_K(n − y)" rounds at random, and commutes with adding whole numbers: Σ point + Σ N_k is the
//! rounding of Σ point + N(0, K·σ²), a post-processing of the real-valued Gaussian mechanism whose noise is
//! √K·2²⁴ steps, z_K·√K ≥ z times the sensitivity. Discrete Gaussians have a like property (Kairouz, Liu &
//! Steinke 2021, "The Distributed Discrete Gaussian Mechanism").
//!
//! What is left is the sampler's error, that of K draws instead of one: see
//! [`rounded_gaussian`](crate::noise::rounded_gaussian).
//!
//! # Who sees the shards themselves
//! From somebody who sees all K of them the others' noise hides nothing: the noise multiplier is z_K, about
//! z/√K, at the same sampling rate. That holds between data sets of which one has an empty record in the
//! place of the other's: a record's shard follows from its own place alone, but to take it out altogether
//! would move those behind it into other shards. Whoever sees the sum alone has the plan's guarantee, under
//! which records are added or removed.
//!
//! # Streams
//! The noise of a shard comes from streams of its own purposes, at the number `step·2¹⁶ + (K − 1)·2⁸ + k`. No
//! two of them are equal, for any steps and any K, and none is one that an undivided step reads: taking one
//! such sum from another never leaves it without noise. Still, a step is accounted for once, so a run keeps
//! to its K: to split a step again into another number of shards would be a second release.

mod combine;
mod error;
#[cfg(test)]
mod noise_tests;
#[cfg(test)]
mod spline_tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clipped_sum::MIN_NOISE_MULTIPLIER;
use crate::sums::{BatchSums, Noise};
use crate::{DpSgdPlan, Purpose, SecretSeed};

pub use error::ShardError;

/// The most shards of a step. Enough for any fan-out that is faster than what it starts, and two of its
/// numbers fit beside a step's in 64 bits.
pub const MAX_SHARDS: u32 = 256;

/// Into how many shards each step of a run is split: 1 to [`MAX_SHARDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ShardCount(u32);

impl ShardCount {
    /// The number itself.
    pub fn get(self) -> u32 {
        self.0
    }

    /// All shards of a step, in order.
    pub fn of_step(self, step: u64) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(move |index| ShardId { step, index, count: self })
    }
}

impl Default for ShardCount {
    /// One: nothing is split.
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for ShardCount {
    type Error = ShardError;

    fn try_from(count: u32) -> Result<Self, ShardError> {
        if (1..=MAX_SHARDS).contains(&count) { Ok(Self(count)) } else { Err(ShardError::Count(count)) }
    }
}

impl From<ShardCount> for u32 {
    fn from(count: ShardCount) -> u32 {
        count.0
    }
}

impl fmt::Display for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which shard of which step; whether a plan has it is checked by [`DpSgdPlan::shard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardId {
    /// The step, counted from 0.
    pub step: u64,
    /// The shard, counted from 0.
    pub index: u32,
    /// Shards of the step.
    pub count: ShardCount,
}

impl ShardId {
    /// The number of a valid shard's noise streams: steps are below 2²⁷, count − 1 and index below 2⁸.
    fn stream(self) -> u64 {
        self.step << 16 | u64::from(self.count.0 - 1) << 8 | u64::from(self.index)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {} of step {}", self.index, self.count, self.step)
    }
}

impl Noise {
    /// What each of `count` shards adds, so that all together add no less than this.
    fn split(self, count: ShardCount) -> Result<Self, ShardError> {
        let enough = |noise: f64, count| share(noise, count) >= MIN_NOISE_MULTIPLIER;
        let split = |noise: f64| match enough(noise, count) {
            true => Ok(share(noise, count)),
            false => {
                let max = (1..count.0).rev().find(|&fewer| enough(noise, ShardCount(fewer))).unwrap_or(1);
                Err(ShardError::TooLittleNoise { noise, count: count.0, max })
            }
        };
        Ok(Self { gradient: split(self.gradient)?, loss: self.loss.map(split).transpose()? })
    }
}

/// z_K: the square of it, times K, is at least the square of `noise`.
fn share(noise: f64, count: ShardCount) -> f64 {
    // The root, the quotient and the product each err by at most 2⁻⁵³ of themselves; the factor makes up for
    // eight times that.
    const UP: f64 = 1.0 + 4.0 * f64::EPSILON;
    if count.0 == 1 { noise } else { noise / f64::from(count.0).sqrt() * UP }
}

impl DpSgdPlan {
    /// One shard of one step.
    ///
    /// # Errors
    /// [`ShardError`] if the run has no such step or the step no such shard, or if the plan has too little
    /// noise to be split so.
    pub fn shard(&self, id: ShardId) -> Result<Shard<'_>, ShardError> {
        let ShardId { step, index, count } = id;
        if step >= self.steps() {
            return Err(ShardError::Step { step, steps: self.steps() });
        }
        if index >= count.0 {
            return Err(ShardError::Index { index, count: count.0 });
        }
        Ok(Shard { plan: self, id, noise: self.noise().split(count)? })
    }
}

/// One shard of one step of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Shard<'a> {
    plan: &'a DpSgdPlan,
    id: ShardId,
    noise: Noise,
}

impl Shard<'_> {
    /// Standard deviation of the shard's own noise in units of the clipping norm: z_K.
    pub fn noise_multiplier(&self) -> f64 {
        self.noise.gradient
    }

    /// The records of the step's batch that are this shard's, in ascending order.
    pub fn batch(&self, seed: &SecretSeed) -> Vec<usize> {
        let (index, count) = (self.id.index as usize, self.id.count.0 as usize);
        let mut batch = self.plan.batch(seed, self.id.step);
        batch.retain(|record| record % count == index);
        batch
    }

    /// The shard's sums, empty: what the records of its batch add to, and what leaves it.
    pub fn sum(&self, dimension: usize) -> ShardSum {
        ShardSum { id: self.id, sums: BatchSums::new(dimension, self.plan.max_grad_norm(), self.noise) }
    }
}

/// One shard's clipped sums before their release; as secret as the records.
#[derive(Debug, Clone)]
pub struct ShardSum {
    id: ShardId,
    sums: BatchSums,
}

impl ShardSum {
    /// Adds one record, as [`StepSum::add`](crate::StepSum::add) does.
    ///
    /// # Panics
    /// If the gradient has another dimension than the sum.
    pub fn add(&mut self, gradient: &[f32], loss: f64) {
        self.sums.add(gradient, loss);
    }

    /// Adds the shard's noise, the same whenever the shard is run again with the same seed.
    pub fn release(self, seed: &SecretSeed) -> NoisyShard {
        let stream = |purpose| seed.stream(purpose, self.id.stream());
        let gradient = self.sums.gradients.release_points(&mut stream(Purpose::ShardGradientNoise));
        let loss = self.sums.losses.map(|losses| {
            let noisy = losses.release_points(&mut stream(Purpose::ShardLossNoise));
            // A sum of one coordinate.
            noisy[0]
        });
        NoisyShard { id: self.id, gradient, loss }
    }
}

/// What a shard releases: whole numbers of steps of its lattice, which [`DpSgdPlan::combine`] adds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoisyShard {
    /// Which shard it is of.
    pub id: ShardId,
    /// The noisy sum of the clipped gradients.
    pub gradient: Vec<i64>,
    /// The noisy sum of the clipped losses, if the plan pays for it.
    pub loss: Option<i64>,
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
