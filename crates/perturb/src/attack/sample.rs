//! Which records are attacked: some whole ones by chance, for a text of megabytes would take hours.

use rand::Rng;

use super::AttackError;
use crate::Domain;

/// A record before and after the channel, as items of its vocabulary. Never leaves the owner's machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    original: Vec<u32>,
    observed: Vec<u32>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The original must not reach a log.
        f.debug_struct("Record").field("tokens", &self.original.len()).finish_non_exhaustive()
    }
}

impl Record {
    /// Takes both forms, as items.
    ///
    /// # Errors
    /// [`AttackError::Lengths`].
    pub fn new(original: Vec<u32>, observed: Vec<u32>) -> Result<Self, AttackError> {
        if original.len() != observed.len() {
            return Err(AttackError::Lengths { original: original.len(), observed: observed.len() });
        }
        Ok(Self { original, observed })
    }

    /// Takes both forms as token ids. An original id outside of the domain is its first item, as it is for the channel.
    ///
    /// # Errors
    /// [`AttackError::Lengths`], or [`AttackError::Output`] for a perturbed id that is not of the domain.
    pub fn from_ids(domain: &Domain, original: &[u32], perturbed: &[u32]) -> Result<Self, AttackError> {
        let original = original.iter().map(|&id| domain.index(id).unwrap_or(0)).collect();
        let item = |&id: &u32| domain.index(id).ok_or(AttackError::Output(id));
        Self::new(original, perturbed.iter().map(item).collect::<Result<_, _>>()?)
    }

    /// Items as they went in.
    pub fn original(&self) -> &[u32] {
        &self.original
    }

    /// Items as they came out.
    pub fn observed(&self) -> &[u32] {
        &self.observed
    }

    /// Tokens.
    pub fn len(&self) -> usize {
        self.original.len()
    }

    /// Whether it has no tokens.
    pub fn is_empty(&self) -> bool {
        self.original.is_empty()
    }

    fn truncate(&mut self, tokens: usize) {
        self.original.truncate(tokens);
        self.observed.truncate(tokens);
    }
}

/// The records under attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    records: Vec<Record>,
    tokens: usize,
}

impl Sample {
    /// Draws from `count` records, each equally likely, until they have `max_tokens` tokens; the last one is cut there.
    /// `record` makes the record of an index and is asked for the drawn ones only.
    ///
    /// # Errors
    /// [`AttackError::Empty`] if nothing was drawn, or what `record` says.
    pub fn draw<E: From<AttackError>>(
        count: usize,
        max_tokens: usize,
        rng: &mut impl Rng,
        mut record: impl FnMut(usize) -> Result<Record, E>,
    ) -> Result<Self, E> {
        let mut sample = Self { records: Vec::new(), tokens: 0 };
        let mut left: Vec<usize> = (0..count).collect();
        while !left.is_empty() && sample.tokens < max_tokens {
            // The high half of a 128-bit product: uniform below the length, but for one part in 2⁶⁴ / length.
            let place = (u128::from(rng.next_u64()) * left.len() as u128) >> 64;
            let mut record = record(left.swap_remove(place as usize))?;
            record.truncate(max_tokens - sample.tokens);
            sample.tokens += record.len();
            sample.records.push(record);
        }
        sample.records.retain(|record| !record.is_empty());
        if sample.tokens == 0 { Err(AttackError::Empty.into()) } else { Ok(sample) }
    }

    /// The records, in the order of the draw.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Tokens of all records; never 0.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Refuses items that the channel does not have.
    pub(super) fn check(&self, items: usize) -> Result<(), AttackError> {
        let all = self.records.iter().flat_map(|record| record.original.iter().chain(&record.observed));
        match all.copied().find(|&item| item as usize >= items) {
            Some(item) => Err(AttackError::Item { item, items }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
