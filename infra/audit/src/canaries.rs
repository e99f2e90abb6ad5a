//! Canaries: records made so that their presence is as easy to see as the mechanism lets it be.
//!
//! Canary i has the gradient `LOUDNESS · C · e_i`, with a coordinate of its own, so that clipping to C is all that keeps it
//! quiet and no other record hides it: the noise is its only cover, and the noise is what the plan accounts for. (Nasr et
//! al. 2023, *Tight Auditing of Differentially Private Machine Learning*, call such records Dirac canaries.) A canary whose
//! coin says "out" has the gradient 0, which is the same as no record: it adds nothing to any sum, and the sampling rate is
//! a public number either way. Ordinary records have gradients in coordinates of their own, some short and some clipped.

use dp::SecretSeed;
use finetune::gradient::GradientEngine;
use finetune::records::Record;
use finetune::{DataError, ModelError, RecordOptions, Records};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Length of a canary's gradient in units of the clipping norm: so large that a trainer which fails to clip each record
/// cannot pass for one that does, and small enough for f32 sums.
pub const LOUDNESS: f64 = 50.0;

/// Coordinates shared by the ordinary records, beyond those of the canaries.
pub const ORDINARY_COORDINATES: usize = 64;

/// One fair coin a canary: whether it is in the data.
pub fn toss(seed: u64, canaries: usize) -> Vec<bool> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    (0..canaries).map(|_| rng.next_u32() >> 31 == 1).collect()
}

/// The trainer's secret, of which the coins are independent: they come from
/// another generator.
pub fn trainer_seed(seed: u64) -> SecretSeed {
    let mut bytes = [0xA5; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    SecretSeed::from_bytes(bytes)
}

/// Records whose only token is their own index, so that an engine knows which one it is asked about.
///
/// # Errors
/// [`DataError`] for no records.
pub fn numbered_records(count: usize) -> Result<Records, DataError> {
    let sequences: Vec<Vec<u32>> = (0..count as u32).map(|index| vec![index]).collect();
    let options = RecordOptions {
        unit: dp::PrivacyUnit::Line,
        max_length: 2,
        max_chunks: 1,
        bos_token_id: None,
        eos_token_id: None,
        vocab_size: count,
    };
    Records::from_sequences(&sequences, &options)
}

/// A [`GradientEngine`] over [`numbered_records`]: the first ones are canaries, the rest ordinary.
#[derive(Debug, Clone)]
pub struct CanaryEngine {
    present: Vec<bool>,
    max_grad_norm: f64,
}

impl CanaryEngine {
    /// An engine for one canary a coin in `present`, against a trainer that clips to `max_grad_norm`.
    pub fn new(present: Vec<bool>, max_grad_norm: f64) -> Self {
        Self { present, max_grad_norm }
    }

    /// Length of a gradient.
    pub fn dimension(&self) -> usize {
        self.present.len() + ORDINARY_COORDINATES
    }

    /// A vector of ±size in the ordinary coordinates: norms from a quarter of C to four times C, signs by the index.
    fn add_ordinary(&self, index: usize, gradient: &mut [f32]) {
        const NORMS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
        let norm = NORMS[index % NORMS.len()] * self.max_grad_norm;
        let size = (norm / (ORDINARY_COORDINATES as f64).sqrt()) as f32;
        let signs = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15); // golden ratio: bits that look mixed
        for (place, value) in gradient[self.present.len()..].iter_mut().enumerate() {
            *value += if signs >> place & 1 == 1 { size } else { -size };
        }
    }
}

impl GradientEngine for CanaryEngine {
    fn set_parameters(&mut self, _: &[f32]) -> Result<(), ModelError> {
        Ok(())
    }

    fn add_record_gradient(&self, record: &Record, gradient: &mut [f32]) -> Result<f64, ModelError> {
        let index = record.chunks()[0].tokens()[0] as usize;
        match self.present.get(index) {
            Some(true) => gradient[index] += (LOUDNESS * self.max_grad_norm) as f32,
            Some(false) => {}
            None => self.add_ordinary(index, gradient),
        }
        Ok(0.0)
    }
}

#[cfg(test)]
#[path = "canaries_tests.rs"]
mod tests;
