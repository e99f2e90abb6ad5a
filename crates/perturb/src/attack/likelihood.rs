//! How likely each input is behind an output: the channel as the attacker reads it.
//!
//! # Contract
//! A row of output y holds ln P(y | x) for every input x: a short list of the likely ones, and one value for all others. That is
//! exact for the two-level mechanisms, where the list is T(y) = {x : y ∈ B(x)} with ln(hi/Z), and all others have ln(lo/Z); a
//! mechanism with more levels lists as many inputs as it likes. [`Prior::from_outputs`](super::Prior::from_outputs) needs true
//! probabilities; the attacks only compare inputs, so that a constant for each y may be left out.

use std::borrow::Cow;

use super::AttackError;
use crate::Channel;

/// ln P(y | x) of one output y over all inputs x, in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct LikelihoodRow<'a> {
    /// Distinct inputs with their own ln P(y | x).
    pub likely: Cow<'a, [(u32, f64)]>,
    /// ln P(y | x) of every other input; −∞ if they are impossible.
    pub others: f64,
}

/// The channel as seen from its outputs. Inputs and outputs are items 0 … [`items`](Self::items) − 1.
pub trait Likelihood {
    /// Items of the channel, V.
    fn items(&self) -> usize;

    /// The row of an output below [`items`](Self::items).
    fn row(&self, output: u32) -> LikelihoodRow<'_>;
}

impl<L: Likelihood + ?Sized> Likelihood for &L {
    fn items(&self) -> usize {
        (**self).items()
    }

    fn row(&self, output: u32) -> LikelihoodRow<'_> {
        (**self).row(output)
    }
}

impl<L: Likelihood + ?Sized> Likelihood for std::sync::Arc<L> {
    fn items(&self) -> usize {
        (**self).items()
    }

    fn row(&self, output: u32) -> LikelihoodRow<'_> {
        (**self).row(output)
    }
}

impl LikelihoodRow<'_> {
    /// ln P(y | x).
    pub fn of(&self, input: u32) -> f64 {
        self.likely.iter().find(|(x, _)| *x == input).map_or(self.others, |(_, ln)| *ln)
    }

    /// Refuses what no likelihood can be: the attacks would take it for knowledge.
    pub(super) fn checked(self, output: u32, items: usize) -> Result<Self, AttackError> {
        let is_log = |value: f64| !value.is_nan() && value < f64::INFINITY;
        let mut inputs: Vec<u32> = self.likely.iter().map(|(input, _)| *input).collect();
        inputs.sort_unstable();
        let distinct = inputs.windows(2).all(|pair| pair[0] != pair[1]);
        let in_range = inputs.last().is_none_or(|last| (*last as usize) < items);
        let valid =
            distinct && in_range && is_log(self.others) && self.likely.iter().all(|(_, ln)| is_log(*ln));
        if valid { Ok(self) } else { Err(AttackError::Likelihood { output }) }
    }
}

/// The likelihood of a [`Channel`] (set-rr, k-rr), its neighbour table transposed once: V·m entries of 16 bytes.
#[derive(Debug, Clone)]
pub struct ChannelLikelihood {
    /// Entries of output y: `starts[y] .. starts[y + 1]`.
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
    others: f64,
}

impl ChannelLikelihood {
    /// Transposes the channel's table; `None` for a channel that has more than two levels.
    pub fn new(channel: &Channel) -> Option<Self> {
        let response = channel.response()?;
        let (hi, lo) = response.weights();
        let ln_of = |weight: u64| (weight as f64).ln() - (response.total_weight() as f64).ln();
        let set = |item: u32| channel.table().map(|table| table.neighbours(item, response.set_size()));
        let items = response.domain();
        let mut outputs: Vec<(u32, u32)> = (0..items)
            .flat_map(|x| set(x).map_or(vec![(x, x)], |set| set.iter().map(|&y| (y, x)).collect()))
            .collect();
        outputs.sort_unstable();
        let starts = (0..=items).map(|y| outputs.partition_point(|(output, _)| *output < y)).collect();
        let entries = outputs.into_iter().map(|(_, x)| (x, ln_of(hi))).collect();
        Some(Self { starts, entries, others: ln_of(lo) })
    }
}

impl Likelihood for ChannelLikelihood {
    fn items(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, output: u32) -> LikelihoodRow<'_> {
        let (start, end) = (self.starts[output as usize], self.starts[output as usize + 1]);
        LikelihoodRow { likely: Cow::Borrowed(&self.entries[start..end]), others: self.others }
    }
}

/// A likelihood that a function computes when it is asked: for mechanisms whose rows are too many to keep.
#[derive(Clone)]
pub struct FnLikelihood<F> {
    items: usize,
    row: F,
}

impl<F: Fn(u32) -> LikelihoodRow<'static>> FnLikelihood<F> {
    /// `row` gives the row of an output below `items`; it is asked once for each token under attack.
    pub fn new(items: usize, row: F) -> Self {
        Self { items, row }
    }
}

impl<F: Fn(u32) -> LikelihoodRow<'static>> Likelihood for FnLikelihood<F> {
    fn items(&self) -> usize {
        self.items
    }

    fn row(&self, output: u32) -> LikelihoodRow<'_> {
        (self.row)(output)
    }
}

#[cfg(test)]
#[path = "likelihood_tests.rs"]
mod tests;
