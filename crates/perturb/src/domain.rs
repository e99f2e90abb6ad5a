//! The vocabulary that a channel works on.

use crate::Sha256Digest;

/// Forty times the largest vocabulary in use: an id beyond it is a broken file, and would cost its size in memory.
const MAX_ID: u32 = 10_000_000;
const OUTSIDE: u32 = u32::MAX;

/// The perturbable vocabulary: every token id that text can have, without special and added tokens, in ascending order.
///
/// A channel counts its items 0 … V − 1; the n-th of them is the n-th id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    ids: Vec<u32>,
    // id → index, or OUTSIDE
    index_of: Vec<u32>,
    tokenizer_sha256: Sha256Digest,
    sha256: Sha256Digest,
}

impl Domain {
    /// The domain of the given ids, in any order, of the tokenizer with that digest. `None` if there are none, or if one is
    /// absurdly large.
    pub fn new(mut ids: Vec<u32>, tokenizer_sha256: Sha256Digest) -> Option<Self> {
        ids.sort_unstable();
        ids.dedup();
        let max_id = ids.last().copied().filter(|&id| id <= MAX_ID)?;
        let mut index_of = vec![OUTSIDE; max_id as usize + 1];
        for (index, &id) in ids.iter().enumerate() {
            index_of[id as usize] = index as u32;
        }
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        Some(Self { sha256: Sha256Digest::of(&bytes), ids, index_of, tokenizer_sha256 })
    }

    /// The ids, ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many ids there are, V. Never 0.
    #[expect(clippy::len_without_is_empty, reason = "a domain is never empty")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The largest id.
    pub fn max_id(&self) -> u32 {
        self.index_of.len() as u32 - 1
    }

    /// The item of an id; `None` for a special token or an id beyond the vocabulary.
    pub fn index(&self, id: u32) -> Option<u32> {
        self.index_of.get(id as usize).copied().filter(|&index| index != OUTSIDE)
    }

    /// The id of an item below [`len`](Self::len).
    pub fn id(&self, index: u32) -> u32 {
        self.ids[index as usize]
    }

    /// Digest of the ids as little-endian u32.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Digest of the tokenizer.json that the ids belong to.
    pub fn tokenizer_sha256(&self) -> Sha256Digest {
        self.tokenizer_sha256
    }
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
