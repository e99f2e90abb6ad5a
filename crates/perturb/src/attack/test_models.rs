//! A bigram model over a few items, whose best guesses can be found by trying everything.

use super::{AttackError, ContextModel};
use crate::language_model::fixtures::random;

/// p(x | the item before), and p(x) at the beginning.
#[derive(Debug, Clone)]
pub(super) struct Bigram {
    pub(super) first: Vec<f64>,
    pub(super) after: Vec<Vec<f64>>,
}

impl Bigram {
    /// A random one; a larger `sharpness` makes it more certain.
    pub(super) fn random(items: usize, sharpness: f32, seed: u64) -> Self {
        let mut rows = random(seed, items * (items + 1), sharpness)
            .chunks(items)
            .map(|row| {
                let weights: Vec<f64> = row.iter().map(|v| f64::from(*v).exp()).collect();
                let total: f64 = weights.iter().sum();
                weights.into_iter().map(|weight| weight / total).collect()
            })
            .collect::<Vec<Vec<f64>>>();
        Self { first: rows.pop().unwrap(), after: rows }
    }

    pub(super) fn row(&self, before: Option<u32>) -> &[f64] {
        before.map_or(&self.first, |item| &self.after[item as usize])
    }

    /// ln p of a whole record.
    pub(super) fn ln(&self, record: &[u32]) -> f64 {
        let before = std::iter::once(None).chain(record.iter().copied().map(Some));
        before.zip(record).map(|(before, item)| self.row(before)[*item as usize].ln()).sum()
    }
}

impl ContextModel for Bigram {
    type State = Option<u32>;

    fn items(&self) -> usize {
        self.first.len()
    }

    fn start(&mut self) -> Result<Option<u32>, AttackError> {
        Ok(None)
    }

    fn log_probabilities(
        &mut self,
        states: &[&Option<u32>],
        candidates: &[u32],
    ) -> Result<Vec<f64>, AttackError> {
        let of_state = |state: &&Option<u32>| {
            candidates.iter().map(|item| self.row(**state)[*item as usize].ln()).collect::<Vec<_>>()
        };
        Ok(states.iter().flat_map(of_state).collect())
    }

    fn extend(&mut self, steps: &[(&Option<u32>, u32)]) -> Result<Vec<Option<u32>>, AttackError> {
        Ok(steps.iter().map(|(_, item)| Some(*item)).collect())
    }
}

/// Every record of `length` items.
pub(super) fn all_records(items: u32, length: usize) -> Vec<Vec<u32>> {
    (0..length).fold(vec![Vec::new()], |records, _| {
        let longer = |record: Vec<u32>| (0..items).map(move |item| [record.as_slice(), &[item]].concat());
        records.into_iter().flat_map(longer).collect()
    })
}
