//! The one secret from which all of a job's randomness comes.
//!
//! A retried step must draw the very noise of its first try: two different noisings of one gradient sum would be two
//! releases where the accountant charged one. So a job draws one seed from the operating system, keeps it in its private
//! state, and derives a generator for each purpose and step.
//!
//! # Contract
//! ```text
//! key    = SHA-256("dp-seed-stream-v1" ‖ seed[32] ‖ purpose[1] ‖ step[8, little-endian])
//! stream = ChaCha20(key, nonce 0, counter 0)
//! ```
//! Every part has a fixed length, so no two (seed, purpose, step) give the same input to the hash. Under the usual
//! assumption that SHA-256 of a secret prefix is a pseudo-random function at fixed input length, the streams look
//! independent to anyone without the seed; with it, every one can be replayed.

use std::fmt;

use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::DpError;

const STREAM_TAG: &[u8] = b"dp-seed-stream-v1";

/// 256 secret bits. Cleared from memory on drop; its `Debug` shows nothing; written as hexadecimal into private state.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretSeed([u8; 32]);

/// What a random stream is for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Which records are in a step's batch.
    PoissonSampling,
    /// The noise on a step's gradient sum.
    GradientNoise,
    /// The adapter's first weights.
    AdapterInit,
    /// The noise on a step's loss.
    LossNoise,
    /// Local perturbation of text.
    Perturbation,
    /// The noise on a shard's share of a step's gradient sum.
    ShardGradientNoise,
    /// The noise on a shard's share of a step's loss.
    ShardLossNoise,
}

impl Purpose {
    // Part of the derivation: a number once given is never changed or reused.
    fn tag(self) -> u8 {
        match self {
            Self::PoissonSampling => 1,
            Self::GradientNoise => 2,
            Self::AdapterInit => 3,
            Self::Perturbation => 4,
            Self::LossNoise => 5,
            Self::ShardGradientNoise => 6,
            Self::ShardLossNoise => 7,
        }
    }
}

impl SecretSeed {
    /// Takes 32 bytes that the operating system's generator drew.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`DpError::Seed`], without the text, if they are not.
    pub fn from_hex(text: &str) -> Result<Self, DpError> {
        let mut seed = Self([0; 32]);
        hex::decode_to_slice(text, &mut seed.0).map_err(|_| DpError::Seed)?;
        Ok(seed)
    }

    /// The generator for one purpose at one step; the same arguments give the same stream again.
    pub fn stream(&self, purpose: Purpose, step: u64) -> ChaCha20Rng {
        let mut hash = Sha256::new();
        hash.update(STREAM_TAG);
        hash.update(self.0);
        hash.update([purpose.tag()]);
        hash.update(step.to_le_bytes());
        let key = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
        ChaCha20Rng::from_seed(*key)
    }
}

impl fmt::Debug for SecretSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSeed(..)")
    }
}

impl Drop for SecretSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Serialize for SecretSeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(self.0)))
    }
}

impl<'de> Deserialize<'de> for SecretSeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor of our own: serde's default error would repeat the offending text.
        struct HexVisitor;
        impl de::Visitor<'_> for HexVisitor {
            type Value = SecretSeed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret seed of 64 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretSeed, E> {
                SecretSeed::from_hex(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(HexVisitor)
    }
}

#[cfg(test)]
#[path = "seed_tests.rs"]
mod tests;
