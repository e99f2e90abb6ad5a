//! What the attacker thinks of an item before seeing its output.

use super::error::check_items;
use super::{AttackError, Likelihood};

/// Rounds of expectation–maximisation. It need not converge: early rounds find the frequent items, later ones fit the noise of
/// the rare ones.
const ROUNDS: usize = 100;

/// ln π(x) of every item, and the items in the order of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    ln: Vec<f64>,
    /// Likeliest first; among equals the smallest item first.
    order: Vec<u32>,
}

impl Prior {
    /// Every item alike.
    pub fn uniform(items: usize) -> Self {
        Self::from_probabilities(vec![1.0 / items as f64; items])
    }

    /// From counts in public text; each item is counted once more than it occurs, so that none is impossible.
    pub fn from_counts(counts: &[u64]) -> Self {
        let total: f64 = counts.iter().map(|&count| count as f64 + 1.0).sum();
        Self::from_probabilities(counts.iter().map(|&count| (count as f64 + 1.0) / total).collect())
    }

    /// The frequencies of the original items as the perturbed ones betray them: the maximum-likelihood π of Σₓ π(x)·P(y | x), by
    /// expectation–maximisation (Agrawal & Aggarwal 2001, section 3). It is made of the output alone, so every attacker has it.
    ///
    /// # Errors
    /// [`AttackError::Item`] for an output that is none, [`AttackError::Likelihood`] for a broken row.
    pub fn from_outputs(
        likelihood: &impl Likelihood,
        outputs: impl IntoIterator<Item = u32>,
    ) -> Result<Self, AttackError> {
        let items = likelihood.items();
        let mut counts = vec![0_u64; items];
        for item in outputs {
            *counts.get_mut(item as usize).ok_or(AttackError::Item { item, items })? += 1;
        }
        let mut seen = Vec::new();
        for (output, &count) in (0_u32..).zip(&counts).filter(|(_, count)| **count > 0) {
            let row = likelihood.row(output).checked(output, items)?;
            seen.push(Seen::new(count, &row.likely, row.others));
        }
        let mut probabilities = vec![1.0 / items as f64; items];
        (0..ROUNDS).for_each(|_| improve(&mut probabilities, &seen));
        // Whatever the rounds found impossible may still occur, a thousandth of the time.
        let floor = 1e-3 / items as f64;
        Ok(Self::from_probabilities(probabilities.into_iter().map(|p| 0.999 * p + floor).collect()))
    }

    fn from_probabilities(probabilities: Vec<f64>) -> Self {
        let ln: Vec<f64> = probabilities.into_iter().map(f64::ln).collect();
        let mut order: Vec<u32> = (0..ln.len() as u32).collect();
        order.sort_by(|a, b| ln[*b as usize].total_cmp(&ln[*a as usize]));
        Self { ln, order }
    }

    /// Items.
    pub fn items(&self) -> usize {
        self.ln.len()
    }

    /// ln π of an item, in nats.
    pub fn ln(&self, item: u32) -> f64 {
        self.ln[item as usize]
    }

    /// All items, likeliest first.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    pub(super) fn check(&self, items: usize) -> Result<(), AttackError> {
        check_items("prior", self.items(), items)
    }
}

/// An output that occurred: how often, how likely each listed input makes it beyond the others, and what the others do.
struct Seen {
    count: f64,
    excess: Vec<(usize, f64)>,
    others: f64,
}

impl Seen {
    fn new(count: u64, likely: &[(u32, f64)], others: f64) -> Self {
        let others = others.exp();
        let excess = likely.iter().map(|(input, ln)| (*input as usize, ln.exp() - others)).collect();
        Self { count: count as f64, excess, others }
    }
}

/// One round: each output's count goes to the inputs in proportion to π(x)·P(y | x).
fn improve(probabilities: &mut [f64], seen: &[Seen]) {
    let mut shares = vec![0.0; probabilities.len()];
    let mut of_all = 0.0;
    for Seen { count, excess, others } in seen {
        let listed: f64 = excess.iter().map(|(input, excess)| probabilities[*input] * excess).sum();
        let total = (others + listed).max(f64::MIN_POSITIVE);
        of_all += count * others / total;
        for (input, excess) in excess {
            shares[*input] += count * excess / total;
        }
    }
    for (probability, share) in probabilities.iter_mut().zip(shares) {
        *probability *= (of_all + share).max(0.0);
    }
    let total: f64 = probabilities.iter().sum();
    if total > 0.0 {
        probabilities.iter_mut().for_each(|probability| *probability /= total);
    }
}

#[cfg(test)]
#[path = "prior_tests.rs"]
mod tests;
