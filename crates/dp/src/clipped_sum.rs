//! A sum of clipped vectors that knows its sensitivity and is released only with the noise that goes with it.
//!
//! # Contract
//! The clip, sum and noise of DP-SGD (Abadi et al. 2016, Algorithm 1) on the lattice s·ℤ^d, s = z·C / 2²⁴, for the
//! norm C (`max_norm`) and the noise multiplier z:
//!
//! ```text
//! point(v) = v·min(1, C/‖v‖)/s, each coordinate rounded towards zero
//! release  = s·(Σ point(v) + N),   N = rounded Gaussians of standard deviation 2²⁴, one for each coordinate
//! ```
//!
//! Guarantee: with neighbours that differ in one vector, added or removed, the release is at least as private as the
//! Gaussian mechanism of noise multiplier z, in every accountant.
//!
//! Proof sketch. ‖point(v)‖² ≤ ⌊(2²⁴/z)²⌋, checked in integers for each vector, so integer sums of neighbours are at
//! most 2²⁴/z apart and the noise has at least z times the sensitivity. The rounded Gaussian is the Gaussian
//! mechanism, post-processed: see [`rounded_gaussian`]. Scaling by s is post-processing too, so its rounding cannot
//! matter; nor can that of the clip.
//!
//! Rounding takes less than one step, a 2²⁴th of the noise's standard deviation, from a coordinate of a vector.
//! Sums are exact: neither the order of vectors nor the way they are split over threads changes a bit.
//!
//! # Range
//! A coordinate of a point is at most 2³¹ / 1.28 in size, so a sum of 2³² points is within i64. More are refused.

use std::fmt;

use rand::CryptoRng;

use crate::DpError;
use crate::noise::rounded_gaussian;

/// With less noise a coordinate of a point could leave 32 bits; and nothing would be protected.
pub(crate) const MIN_NOISE_MULTIPLIER: f64 = 0.01;
/// With more noise the whole clipping norm would be fewer than 16 steps of the lattice.
const MAX_NOISE_MULTIPLIER: f64 = (1 << 20) as f64;
/// So many points cannot overflow the sum, nor can the noise then.
const MAX_VECTORS: u64 = 1 << 32;

/// A sum of vectors, each clipped to one L2 norm: see the [module](self) for its contract.
///
/// Until it is released it is as secret as the vectors: there is no way to read it, and `Debug` shows the parameters
/// alone.
#[derive(Clone)]
pub struct ClippedSum {
    max_norm: f64,
    noise_multiplier: f64,
    /// The largest squared norm of a point.
    max_energy: u64,
    sum: Vec<i64>,
    /// How many vectors were added, which is as secret as the sum.
    vectors: u64,
}

impl ClippedSum {
    /// The empty sum of vectors of `dimension` coordinates.
    ///
    /// # Errors
    /// [`DpError::MaxNorm`] unless `max_norm` is in the range of positive normal f32; [`DpError::NoiseMultiplierRange`]
    /// unless `noise_multiplier` is in 0.01 ..= 2²⁰.
    pub fn new(dimension: usize, max_norm: f64, noise_multiplier: f64) -> Result<Self, DpError> {
        if !(f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&max_norm) {
            return Err(DpError::MaxNorm(max_norm));
        }
        let (min, max) = (MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER);
        if !(min..=max).contains(&noise_multiplier) {
            return Err(DpError::NoiseMultiplierRange { noise_multiplier, min, max });
        }
        let max_energy = max_energy(noise_multiplier);
        Ok(Self { max_norm, noise_multiplier, max_energy, sum: vec![0; dimension], vectors: 0 })
    }

    /// Adds `vector`, clipped. One with a NaN or an infinity counts as zero.
    ///
    /// # Panics
    /// If `vector` has another dimension than the sum, or after 2³² vectors.
    pub fn add(&mut self, vector: &[f32]) {
        assert_eq!(vector.len(), self.sum.len(), "the vector must have the sum's dimension");
        self.count(1);
        let norm = squared_norm(vector).sqrt();
        if !norm.is_finite() {
            return;
        }
        let mut scale =
            rounded_gaussian::STANDARD_DEVIATION / self.noise_multiplier / norm.max(self.max_norm);
        // Rounding towards zero leaves room, so f64's errors hardly ever count; if they do, ever larger cuts end it.
        let mut cut = 1.0 / (1_u64 << 40) as f64;
        while self.add_point(vector, scale) > self.max_energy {
            self.add_point(vector, -scale);
            scale *= 1.0 - cut;
            cut = (2.0 * cut).min(1.0);
        }
    }

    /// Adds all vectors of another sum of the same kind.
    ///
    /// # Panics
    /// If the other has another dimension, norm or noise multiplier, or if it makes more than 2³² vectors.
    pub fn merge(&mut self, other: &Self) {
        let kind = |sum: &Self| (sum.sum.len(), sum.max_norm, sum.noise_multiplier);
        assert_eq!(kind(self), kind(other), "sums of different kinds cannot be merged");
        self.count(other.vectors);
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, other)| *sum += other);
    }

    fn count(&mut self, vectors: u64) {
        self.vectors += vectors;
        assert!(self.vectors <= MAX_VECTORS, "a sum of more than 2^32 vectors could overflow");
    }

    /// Adds the point of `vector` at `scale` and returns its exact squared norm. At −`scale` it takes the point back
    /// again.
    ///
    /// The squared norm is far from overflow: the true one is at most 2⁶¹·⁴, and f64 is not off by a half.
    fn add_point(&mut self, vector: &[f32], scale: f64) -> u64 {
        let mut energy = 0;
        for (sum, &value) in self.sum.iter_mut().zip(vector) {
            // Towards zero, and alike for both signs.
            let coordinate = (f64::from(value) * scale) as i32;
            *sum += i64::from(coordinate);
            let magnitude = u64::from(coordinate.unsigned_abs());
            energy += magnitude * magnitude;
        }
        energy
    }

    /// The noisy sum, in the vectors' own unit: each coordinate a multiple of s.
    pub fn release(self, rng: &mut impl CryptoRng) -> Vec<f64> {
        let mut released = Vec::with_capacity(self.sum.len());
        let step = self.step();
        self.release_each(rng, |noisy| released.push(noisy as f64 * step));
        released
    }

    /// The noisy sum over `divisor`, as DP-SGD's mean gradient is: `divisor` is the expected batch size, never the
    /// realised one.
    pub fn release_scaled(self, rng: &mut impl CryptoRng, divisor: f64) -> Vec<f32> {
        let mut released = Vec::with_capacity(self.sum.len());
        let step = self.step() / divisor;
        self.release_each(rng, |noisy| released.push((noisy as f64 * step) as f32));
        released
    }

    /// The noisy sum in steps of the lattice, for sums of one kind that are added up before they are scaled.
    pub(crate) fn release_points(self, rng: &mut impl CryptoRng) -> Vec<i64> {
        let mut released = Vec::with_capacity(self.sum.len());
        self.release_each(rng, |noisy| released.push(noisy));
        released
    }

    fn release_each(self, rng: &mut impl CryptoRng, mut see: impl FnMut(i64)) {
        // Of a size that stays in the cache. It changes nothing: the noise is the same in one piece.
        let mut noise = [0; 1024];
        for sums in self.sum.chunks(noise.len()) {
            let noise = &mut noise[..sums.len()];
            rounded_gaussian::fill(rng, noise);
            sums.iter().zip(&*noise).for_each(|(sum, &noise)| see(sum + i64::from(noise)));
        }
    }

    /// The lattice's step, s.
    pub(crate) fn step(&self) -> f64 {
        self.noise_multiplier * self.max_norm / rounded_gaussian::STANDARD_DEVIATION
    }

    /// Coordinates of each vector.
    pub fn dimension(&self) -> usize {
        self.sum.len()
    }

    /// The L2 norm that vectors are clipped to: the sensitivity to one vector added or removed.
    pub fn max_norm(&self) -> f64 {
        self.max_norm
    }

    /// Standard deviation of the noise over the sensitivity.
    pub fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }
}

impl fmt::Debug for ClippedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClippedSum")
            .field("dimension", &self.dimension())
            .field("max_norm", &self.max_norm)
            .field("noise_multiplier", &self.noise_multiplier)
            .finish_non_exhaustive()
    }
}

/// ⌊(2²⁴/z)²⌋, or one less. Three roundings may raise the square by 3·2⁻⁵³ of it, less than the factor takes away.
fn max_energy(noise_multiplier: f64) -> u64 {
    const DOWN: f64 = 1.0 - 1.0 / (1_u64 << 50) as f64;
    let radius = rounded_gaussian::STANDARD_DEVIATION / noise_multiplier;
    (radius * radius * DOWN) as u64
}

/// ‖v‖², in eight sums side by side, always the same ones. No square of an f32 overflows an f64.
fn squared_norm(vector: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = vector.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
#[path = "clipped_sum_tests.rs"]
mod tests;
