//! Gaussian noise on a vector, such as a word's embedding.
//!
//! # Contract
//! Vectors of d coordinates are brought into the [`Region`] and there onto the lattice s·ℤ^d, s = σ/2²⁴; each
//! coordinate then gets s times a rounded Gaussian of standard deviation 2²⁴. Any two inputs are neighbours, so the
//! L2 sensitivity is the region's diameter: 2 for the ball, 2√d for the box. (ε, δ)-LDP of one vector with the ε of
//! Balle & Wang 2018, Theorem 8, at noise multiplier σ/sensitivity.
//!
//! Proof sketch. Points are in the region by integer arithmetic, so they are at most the sensitivity apart; the noise
//! is the Gaussian mechanism post-processed, see [`rounded_gaussian`]. What is done with the noisy vector, such as
//! the search for the nearest word, is post-processing too.
//!
//! # What the original service said
//! It perturbed embeddings of 50 dimensions in the box with σ = 0.1 and stated ε = 96.9 at δ = 1e-5. That is
//! [`classical_epsilon`] with sensitivity 2. The formula is proven for ε ≤ 1 only, and the box's sensitivity is 2√50.
//! The exact ε of that setting is about 10,602.

use rand::CryptoRng;

use super::region::points_into;
use super::{Contract, Region, Sensitivity};
use crate::accountant::gaussian;
use crate::noise::rounded_gaussian;
use crate::{Delta, DpError, Epsilon};

/// Keeps lattice coordinates within 2⁴⁴; there is no privacy near it.
const MIN_STANDARD_DEVIATION: f64 = 1.0 / (1 << 20) as f64;
/// Leaves the unit length 16 steps of the lattice.
const MAX_STANDARD_DEVIATION: f64 = (1 << 20) as f64;
/// Draws at once: 4 KiB of the stack.
const NOISE_BLOCK: usize = 1 << 10;

/// Gaussian noise on vectors of one dimension: see the [module](self) for its contract.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorGaussian {
    dimension: usize,
    region: Region,
    standard_deviation: f64,
}

impl VectorGaussian {
    /// Noise of `standard_deviation` on each coordinate.
    ///
    /// # Errors
    /// [`DpError::Dimension`] for vectors of no coordinate; [`DpError::StandardDeviation`] unless it is in 2⁻²⁰ ..=
    /// 2²⁰.
    pub fn new(dimension: usize, region: Region, standard_deviation: f64) -> Result<Self, DpError> {
        if dimension == 0 {
            return Err(DpError::Dimension(dimension));
        }
        let (min, max) = (MIN_STANDARD_DEVIATION, MAX_STANDARD_DEVIATION);
        if !(min..=max).contains(&standard_deviation) {
            return Err(DpError::StandardDeviation { standard_deviation, min, max });
        }
        Ok(Self { dimension, region, standard_deviation })
    }

    /// The least noise, up to a part in a million, that makes one vector (ε, δ)-LDP.
    ///
    /// # Errors
    /// As [`new`](Self::new), if the noise that it takes is out of range.
    pub fn with_epsilon(
        dimension: usize,
        region: Region,
        epsilon: Epsilon,
        delta: Delta,
    ) -> Result<Self, DpError> {
        let diameter = region.l2_diameter(dimension);
        let promises = |sigma: f64| gaussian::epsilon((sigma / diameter).next_down(), delta) <= epsilon.get();
        // Geometric, from far outside of what `new` accepts; the promise holds at `high` all the time.
        let (mut low, mut high) = (MIN_STANDARD_DEVIATION / 2.0, MAX_STANDARD_DEVIATION * 2.0);
        while high > low * (1.0 + 1e-6) {
            let middle = (low * high).sqrt();
            if promises(middle) { high = middle } else { low = middle }
        }
        Self::new(dimension, region, high)
    }

    /// The noisy vector, each coordinate a multiple of σ/2²⁴.
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
        // Rounded down, so that the region is never wider than the sensitivity says.
        let radius = (rounded_gaussian::STANDARD_DEVIATION / self.standard_deviation).next_down();
        points_into(self.region, self.dimension, radius, vectors, noisy);
        let step = self.standard_deviation / rounded_gaussian::STANDARD_DEVIATION;
        let mut noise = [0; NOISE_BLOCK];
        for noisy in noisy.chunks_mut(NOISE_BLOCK) {
            let noise = &mut noise[..noisy.len()];
            rounded_gaussian::fill(rng, noise);
            // Exact until the product: coordinates are within 2⁴⁴, noise within 2²⁸.
            noisy.iter_mut().zip(noise).for_each(|(x, &mut noise)| *x = (*x + f64::from(noise)) * step);
        }
    }

    /// What is promised at `delta` for one vector and for many.
    pub fn contract(&self, delta: Delta) -> Contract {
        let diameter = self.region.l2_diameter(self.dimension);
        let multiplier = (self.standard_deviation / diameter).next_down();
        Contract::gaussian(multiplier, delta, Sensitivity::L2(diameter))
    }

    /// Standard deviation of the noise on each coordinate.
    pub fn standard_deviation(&self) -> f64 {
        self.standard_deviation
    }
}

/// √(2·ln(1.25/δ))·sensitivity/σ, solved for ε from Dwork & Roth 2014, Theorem A.1. **Not a guarantee**: the theorem
/// is for ε ≤ 1.
///
/// For comparison with figures that were stated by it; [`VectorGaussian::contract`] has the exact ε.
pub fn classical_epsilon(sensitivity: f64, standard_deviation: f64, delta: Delta) -> f64 {
    (2.0 * libm::log(1.25 / delta.get())).sqrt() * sensitivity / standard_deviation
}

#[cfg(test)]
#[path = "vector_gaussian_tests.rs"]
mod tests;
