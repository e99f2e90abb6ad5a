//! The likelihood of the mechanisms that work on distances.
//!
//! The exponential mechanism's is its own formula, up to the normalisation of each input. Of vector noise the exact one would be the
//! mass of y's cell under the noise around x, which nobody can compute for a hundred thousand cells of fifty dimensions; the
//! attacker here takes the chance that noise crosses the half-way plane to y, as Gaussian noise of the same standard deviation would: ln P falls
//! with the square of the distance over 8σ². It ranks inputs by distance, as any attacker would, and weighs the rank against the prior.

use std::borrow::Cow;
use std::sync::Arc;

use super::{ChannelLikelihood, Likelihood, LikelihoodRow};
use crate::Channel;
use crate::sampler::{Noise, Sampler};
use crate::vectors::VectorIndex;

/// Inputs that are told apart; all others count as the last of them.
const LIKELY: usize = 256;

/// The likelihood of any channel.
pub fn of_channel(channel: &Channel) -> Arc<dyn Likelihood + Send + Sync> {
    if let Some(exact) = ChannelLikelihood::new(channel) {
        return Arc::new(exact);
    }
    match channel.sampler() {
        Sampler::Response { .. } => unreachable!("two-level channels returned above"),
        Sampler::Noisy { noise, .. } => {
            let sigma = match noise {
                Noise::Gaussian(noise) => noise.standard_deviation(),
                // The standard deviation of a Laplace variable is √2 times its scale.
                Noise::Laplace(noise) => std::f64::consts::SQRT_2 * noise.scale(),
            };
            Arc::new(DistanceLikelihood {
                channel: channel.clone(),
                falloff: Falloff::Square(1.0 / (8.0 * sigma * sigma)),
            })
        }
        Sampler::Exponential { mechanism, .. } => Arc::new(DistanceLikelihood {
            channel: channel.clone(),
            falloff: Falloff::Linear(mechanism.rate()),
        }),
    }
}

/// How ln P falls with the distance.
#[derive(Debug, Clone, Copy)]
enum Falloff {
    Linear(f64),
    Square(f64),
}

/// ln P(y | x) by the distance of x and y.
struct DistanceLikelihood {
    channel: Channel,
    falloff: Falloff,
}

impl DistanceLikelihood {
    fn index(&self) -> &VectorIndex {
        match self.channel.sampler() {
            Sampler::Noisy { index, .. } | Sampler::Exponential { index, .. } => index,
            Sampler::Response { .. } => unreachable!("`of_channel` makes this for channels with vectors"),
        }
    }
}

impl Likelihood for DistanceLikelihood {
    fn items(&self) -> usize {
        self.index().len() as usize
    }

    fn row(&self, output: u32) -> LikelihoodRow<'_> {
        let index = self.index();
        let mut distances: Vec<(f64, u32)> =
            (0..index.len()).map(|input| (index.distance(input, output), input)).collect();
        let count = LIKELY.min(distances.len());
        distances.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ln = |distance: f64| match self.falloff {
            Falloff::Linear(rate) => -rate * distance,
            Falloff::Square(rate) => -rate * distance * distance,
        };
        // After the selection the last of the first ones is the furthest of them.
        let others = ln(distances[count - 1].0);
        let likely = distances[..count].iter().map(|&(distance, input)| (input, ln(distance))).collect();
        LikelihoodRow { likely: Cow::Owned(likely), others }
    }
}

#[cfg(test)]
#[path = "distances_tests.rs"]
mod tests;
