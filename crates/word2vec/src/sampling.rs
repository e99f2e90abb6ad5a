//! Which words a step sees: sub-sampling of frequent words, and negatives.

use crate::random::Stream;

/// Chance of each word to stay in the text, in units of 2⁻³².
///
/// √(t/f) + t/f for a word of relative frequency f, at most 1: the rule of the word2vec program, which keeps slightly more than
/// the published 1 − √(t/f) removes (Mikolov et al. 2013b, section 2.3).
pub(crate) fn keep_thresholds(counts: &[u64], sample: f64) -> Vec<u64> {
    let total: u64 = counts.iter().sum();
    let keep = |&count: &u64| {
        let ratio = sample * total as f64 / count as f64;
        let chance = if sample == 0.0 { 1.0 } else { (ratio.sqrt() + ratio).min(1.0) };
        (chance * 4_294_967_296.0) as u64
    };
    counts.iter().map(keep).collect()
}

/// Draws words with probability ∝ count^¾ in constant time: the alias method (Walker 1977), built as in Vose 1991.
pub(crate) struct Negatives {
    /// For each cell: its own share in units of 2⁻³², and the word that has the rest.
    cells: Vec<(u32, u32)>,
}

impl Negatives {
    pub(crate) fn new(counts: &[u64]) -> Self {
        // Square roots are rounded alike on every host; pow is not.
        let weights: Vec<f64> =
            counts.iter().map(|&c| (c as f64).sqrt() * (c as f64).sqrt().sqrt()).collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..shares.len()).partition(|&i| shares[i] < 1.0);
        let mut cells: Vec<(u32, u32)> = (0..shares.len()).map(|i| (u32::MAX, i as u32)).collect();
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            cells[poor] = ((shares[poor] * 4_294_967_296.0) as u32, rich as u32);
            shares[rich] -= 1.0 - shares[poor];
            if shares[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { cells }
    }

    #[inline(always)]
    pub(crate) fn draw(&self, random: &mut Stream) -> u32 {
        let bits = random.next();
        let cell = (((bits >> 32) * self.cells.len() as u64) >> 32) as usize;
        let (share, other) = self.cells[cell];
        if (bits as u32) < share { cell as u32 } else { other }
    }
}

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod tests;
