//! What a trainer knows of the channel that its tokens passed.
//!
//! ```text
//! Manifest, Domain, NeighbourTable ─▶ ChannelCorrection ─▶ Records::with_channel ─▶ Trainer
//!                                                           TrainingConfig::correction ─┘
//! ```
//!
//! An owner's token x was received as y with P(y | x) = hi/Z if y ∈ B(x) and lo/Z otherwise (set randomised response; with
//! B(x) = {x}, k-ary randomised response). A trainer that takes y for x learns the channel's noise. [`ChannelCorrection`]
//! holds what undoes this in expectation: the weights and the transposed sets T(y) = {x : y ∈ B(x)}.
//!
//! - The target: [`Correction::Forward`] trains on the likelihood of what was received (`ops/forward_corrected.rs`).
//! - The context: [`Context`] says what stands in for the tokens before the target.
//!
//! Ids outside of the channel's domain are special tokens. The channel never emits them, and the trainer puts them in
//! itself (beginning and end of a record), so they are known exactly: the channel extended to them is the identity.
//!
//! # Privacy
//! A record's loss and gradient stay functions of that record, the public tables and the released parameters, so DP-SGD's
//! guarantee holds unchanged. That is why no prior is estimated from the owner's file: one over all records would be free
//! under the local guarantee, but not under DP-SGD's, whose unit is the record as it was received.

mod context;
mod error;
mod options;

use perturb::{Channel, Domain, Manifest, Mechanism, NeighbourTable, Sha256Digest};
use sha2::{Digest, Sha256};

pub(crate) use context::ContextEmbeddings;
pub use error::CorrectionError;
pub use options::{Context, Correction, MAX_PASSES};

/// Whether tokens that passed `mechanism` can be corrected for: those of the two-level mechanisms can.
pub fn corrects(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::SetRr { .. } | Mechanism::KRr { .. })
}

/// A two-level channel seen from its output.
#[derive(Clone, PartialEq)]
pub struct ChannelCorrection {
    hi: f64,
    lo: f64,
    total_weight: f64,
    vocab_size: usize,
    /// T(y) of id y: `plausible[starts[y] .. starts[y + 1]]`, ids; empty outside of the domain.
    starts: Vec<u32>,
    plausible: Vec<u32>,
    outside: Vec<u32>,
    /// Probabilities of the ids, 0 outside of the domain.
    prior: Vec<f64>,
    sha256: String,
}

impl ChannelCorrection {
    /// The correction for a perturbed file with this manifest, trained with a model of `vocab_size` ids.
    ///
    /// # Errors
    /// [`CorrectionError`] if domain or table are not those that the manifest names by their digests.
    pub fn new(
        manifest: &Manifest,
        domain: &Domain,
        table: Option<&NeighbourTable>,
        vocab_size: usize,
    ) -> Result<Self, CorrectionError> {
        let other = |what| Err(CorrectionError::OtherDigest { what });
        if manifest.tokenizer_sha256 != domain.tokenizer_sha256() {
            return other("tokenizer");
        }
        if manifest.domain_sha256 != domain.sha256() {
            return other("vocabulary");
        }
        let named = manifest.neighbour_table_sha256;
        if named.is_some() && table.is_some_and(|table| Some(table.sha256()) != named) {
            return other("neighbour table");
        }
        let correction = Self::for_mechanism(manifest.mechanism, domain, table, vocab_size)?;
        let stated = manifest.weights.map(|weights| (weights.hi as f64, weights.lo as f64));
        if Some(correction.weights()) != stated {
            return other("mechanism");
        }
        Ok(correction)
    }

    /// The correction for tokens that passed `mechanism` over `domain`.
    ///
    /// # Errors
    /// [`CorrectionError`] if the mechanism has not two levels, lacks its table, or does not suit domain or model.
    pub fn for_mechanism(
        mechanism: Mechanism,
        domain: &Domain,
        table: Option<&NeighbourTable>,
        vocab_size: usize,
    ) -> Result<Self, CorrectionError> {
        if !corrects(mechanism) {
            return Err(CorrectionError::NotTwoLevel);
        }
        if domain.max_id() as usize >= vocab_size {
            return Err(CorrectionError::Vocabulary { max_id: domain.max_id(), vocab_size });
        }
        let channel = Channel::new(mechanism, domain.clone(), table.cloned())?;
        // `corrects` let only two-level mechanisms pass.
        let response = channel.response().ok_or(CorrectionError::NotTwoLevel)?;
        let (starts, plausible) = transpose(&channel, response.set_size(), vocab_size);
        let (hi, lo) = response.weights();
        let outside: Vec<u32> = (0..vocab_size as u32).filter(|&id| domain.index(id).is_none()).collect();
        let mut prior = vec![1.0 / domain.len() as f64; vocab_size];
        outside.iter().for_each(|&id| prior[id as usize] = 0.0);
        let total_weight = response.total_weight() as f64;
        let (hi, lo) = (hi as f64, lo as f64);
        let mut correction = Self {
            hi,
            lo,
            total_weight,
            vocab_size,
            starts,
            plausible,
            outside,
            prior,
            sha256: String::new(),
        };
        correction.sha256 = correction.digest(domain.sha256());
        Ok(correction)
    }

    /// The same with a public prior of the tokens, one weight for each id, in place of a uniform one. Weights of ids outside
    /// of the domain do not count.
    ///
    /// The prior must not depend on the owner's file when training is private: see the [module](self).
    ///
    /// # Errors
    /// [`CorrectionError::Prior`] unless there are as many weights as ids, all finite, none negative, some positive.
    pub fn with_prior(mut self, prior: &[f64]) -> Result<Self, CorrectionError> {
        let inside = |id: usize| self.starts[id] < self.starts[id + 1];
        let valid = prior.len() == self.vocab_size && prior.iter().all(|w| w.is_finite() && *w >= 0.0);
        if !valid || !(0..self.vocab_size).any(|id| inside(id) && prior[id] > 0.0) {
            return Err(CorrectionError::Prior { found: prior.len(), vocab_size: self.vocab_size });
        }
        self.prior = (0..self.vocab_size).map(|id| if inside(id) { prior[id] } else { 0.0 }).collect();
        let sum: f64 = self.prior.iter().sum();
        self.prior.iter_mut().for_each(|weight| *weight /= sum);
        let old = Sha256Digest::of(self.sha256.as_bytes());
        self.sha256 = self.digest(old);
        Ok(self)
    }

    /// T(y), the ids under which `received` has the high weight; `None` outside of the domain.
    pub fn plausible(&self, received: u32) -> Option<&[u32]> {
        let (from, to) = (self.starts[received as usize], self.starts[received as usize + 1]);
        (from < to).then(|| &self.plausible[from as usize..to as usize])
    }

    /// Ids that do not pass the channel.
    pub fn outside(&self) -> &[u32] {
        &self.outside
    }

    /// (hi, lo), exact integers.
    pub fn weights(&self) -> (f64, f64) {
        (self.hi, self.lo)
    }

    /// Z = m·hi + (V − m)·lo.
    pub fn total_weight(&self) -> f64 {
        self.total_weight
    }

    /// Probabilities of the ids before anything is received, one each.
    pub(crate) fn prior(&self) -> &[f64] {
        &self.prior
    }

    /// Ids of the model that it was made for.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// SHA-256 in hex over all that the correction does: weights, sets, domain, prior.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn digest(&self, domain: Sha256Digest) -> String {
        let mut hash = Sha256::new();
        hash.update(domain.as_bytes());
        for value in [self.hi, self.lo, self.total_weight].iter().chain(&self.prior) {
            hash.update(value.to_le_bytes());
        }
        for value in self.starts.iter().chain(&self.plausible) {
            hash.update(value.to_le_bytes());
        }
        crate::hex(&hash.finalize())
    }
}

/// Shows sizes only.
impl std::fmt::Debug for ChannelCorrection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { hi, lo, vocab_size, .. } = self;
        write!(f, "ChannelCorrection(hi {hi}, lo {lo}, {vocab_size} ids, sha256 {})", self.sha256)
    }
}

/// The sets T(y) in order of y: where each starts, and their ids, ascending.
fn transpose(channel: &Channel, size: u32, vocab_size: usize) -> (Vec<u32>, Vec<u32>) {
    let domain = channel.domain();
    let set = |item: u32| -> Vec<u32> {
        match channel.table() {
            Some(table) => table.neighbours(item, size).to_vec(),
            None => vec![item],
        }
    };
    let mut sets: Vec<Vec<u32>> = vec![Vec::new(); vocab_size];
    for item in 0..domain.len() as u32 {
        for output in set(item) {
            sets[domain.id(output) as usize].push(domain.id(item));
        }
    }
    let mut starts = vec![0];
    for set in &sets {
        starts.push(starts[starts.len() - 1] + set.len() as u32);
    }
    (starts, sets.concat())
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
