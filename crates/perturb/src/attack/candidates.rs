//! The inputs that a contextual attack considers at one position.

use super::{LikelihoodRow, Prior};

/// Inputs, each with its ln P(y | x).
pub(super) struct Candidates {
    pub(super) items: Vec<u32>,
    pub(super) ln_likelihood: Vec<f64>,
}

impl Candidates {
    /// All items, or the `limit` likeliest by likelihood times prior.
    pub(super) fn new(row: &LikelihoodRow<'_>, prior: &Prior, limit: Option<usize>) -> Self {
        match limit.filter(|limit| *limit < prior.items()) {
            Some(limit) => Self::likeliest(row, prior, limit),
            None => Self::all(row, prior.items()),
        }
    }

    fn all(row: &LikelihoodRow<'_>, items: usize) -> Self {
        let mut ln_likelihood = vec![row.others; items];
        for (item, ln) in row.likely.iter() {
            ln_likelihood[*item as usize] = *ln;
        }
        Self { items: (0..items as u32).collect(), ln_likelihood }
    }

    fn likeliest(row: &LikelihoodRow<'_>, prior: &Prior, limit: usize) -> Self {
        let is_listed = |item: u32| row.likely.iter().any(|(listed, _)| *listed == item);
        // No more than `limit` of the others can be among the best, and they come in the prior's order.
        let others = prior.order().iter().copied().filter(|item| !is_listed(*item)).take(limit);
        let mut all: Vec<(u32, f64)> =
            row.likely.iter().copied().chain(others.map(|item| (item, row.others))).collect();
        let posterior = |(item, ln): &(u32, f64)| ln + prior.ln(*item);
        all.sort_by(|a, b| posterior(b).total_cmp(&posterior(a)).then(a.0.cmp(&b.0)));
        all.truncate(limit);
        let (items, ln_likelihood) = all.into_iter().unzip();
        Self { items, ln_likelihood }
    }
}

#[cfg(test)]
#[path = "candidates_tests.rs"]
mod tests;
