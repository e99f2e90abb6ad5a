//! Laplace noise on a vector, such as a word's embedding.
//!
//! # Contract
//! Vectors of d coordinates are brought into the [`Region`] and there onto the lattice 2⁻²⁰·ℤ^d; each coordinate then
//! gets 2⁻²⁰ times a discrete Laplace of scale t = ⌈Δ/ε⌉, where Δ is the largest L1 distance of two points in steps:
//! 2·⌊√d·2²⁰⌋ for the ball, 2d·2²⁰ for the box. Pure ε-LDP of one vector: for any two inputs and any output the exact
//! ratio of probabilities is at most e^(Δ/t) ≤ e^ε (Dwork, McSherry, Nissim & Smith 2006, on integers; Δ and t are
//! integers and so is the sampler, [`DiscreteLaplace`]). The sensitivity is that of the points, after rounding:
//! nothing is left to floating point.
//!
//! Metric too: inputs whose points are r apart in L1 have a ratio of at most e^(κ·r), κ = 2²⁰/t.

use rand::CryptoRng;

use super::region::points_into;
use super::{Contract, Region};
use crate::noise::DiscreteLaplace;
use crate::{DpError, Epsilon};

/// Steps to the unit: a millionth is far below any noise that protects, and Δ stays an exact f64 up to 2³² dimensions.
const LOG2_RADIUS: u32 = 20;
const RADIUS: f64 = (1_u32 << LOG2_RADIUS) as f64;
const MAX_DIMENSION: usize = 1 << 31;

/// Laplace noise on vectors of one dimension: see the [module](self) for its contract.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorLaplace {
    dimension: usize,
    region: Region,
    epsilon: Epsilon,
    noise: DiscreteLaplace,
}

impl VectorLaplace {
    /// Noise that makes one vector ε-LDP.
    ///
    /// # Errors
    /// [`DpError::Dimension`] for no coordinate or more than 2³¹; [`DpError::EpsilonTooSmall`] if the noise would
    /// pass the integers that are sampled.
    pub fn new(dimension: usize, region: Region, epsilon: Epsilon) -> Result<Self, DpError> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(DpError::Dimension(dimension));
        }
        let diameter = region.l1_diameter(dimension, LOG2_RADIUS) as f64;
        let scale = (diameter / epsilon.get()).next_up().ceil();
        let too_small = || DpError::EpsilonTooSmall {
            epsilon: epsilon.get(),
            min: diameter / DiscreteLaplace::MAX_SCALE as f64,
        };
        // A scale beyond 64 bits saturates, which is too large as well.
        let noise = DiscreteLaplace::new(scale as u64).ok_or_else(too_small)?;
        Ok(Self { dimension, region, epsilon, noise })
    }

    /// The noisy vector, each coordinate a multiple of 2⁻²⁰.
    ///
    /// # Panics
    /// If `vector` has another dimension.
    pub fn sample(&self, rng: &mut impl CryptoRng, vector: &[f32]) -> Vec<f64> {
        let mut noisy = vec![0.0; self.dimension];
        self.sample_into(rng, [vector], &mut noisy);
        noisy
    }

    /// As many noisy vectors as `noisy` has room for, one after the other: the same as as many calls of
    /// [`sample`](Self::sample) give, without an allocation for each.
    ///
    /// # Panics
    /// If a vector has another dimension, or `vectors` are not as many as `noisy` has room for.
    pub fn sample_into<'v>(
        &self,
        rng: &mut impl CryptoRng,
        vectors: impl IntoIterator<Item = &'v [f32]>,
        noisy: &mut [f64],
    ) {
        points_into(self.region, self.dimension, RADIUS, vectors, noisy);
        for x in noisy {
            // A point's coordinate is an integer of 20 bits.
            *x = (i128::from(*x as i64) + self.noise.sample(rng)) as f64 / RADIUS;
        }
    }

    /// The scale of the noise on each coordinate, in the vectors' unit; √2 times it is the standard deviation.
    pub fn scale(&self) -> f64 {
        self.noise.scale() as f64 / RADIUS
    }

    /// What is promised for one vector and for many, whatever they are.
    pub fn contract(&self) -> Contract {
        Contract::pure(self.epsilon, self.region.l1_sensitivity(self.dimension, LOG2_RADIUS))
    }

    /// The same promise by distance: what is said of far inputs is [`contract`](Self::contract)'s.
    pub fn metric_contract(&self) -> Contract {
        let sensitivity = self.region.l1_sensitivity(self.dimension, LOG2_RADIUS);
        Contract::metric((RADIUS / self.noise.scale() as f64).next_up(), self.epsilon, sensitivity)
    }

    /// Δ/t: what is spent, at most what is promised.
    pub fn exact_epsilon(&self) -> f64 {
        let diameter = self.region.l1_diameter(self.dimension, LOG2_RADIUS) as f64;
        (diameter / self.noise.scale() as f64).min(self.epsilon.get())
    }
}

#[cfg(test)]
#[path = "vector_laplace_tests.rs"]
mod tests;
