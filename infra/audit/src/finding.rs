//! From scores to guesses, and from all guesses about one run to one finding.
//!
//! A run is judged by several looks, one for each attack and each share of the canaries that is guessed. The level is split
//! evenly among them (Bonferroni), so that the best bound of all is right with the stated confidence however the looks
//! depend on each other.

use dp::DpSgdPlan;

use crate::AuditError;
use crate::bound::{self, Guesses};

/// Probability with which the bound of one run may exceed the ε that the run really spends.
pub const SIGNIFICANCE: f64 = 0.05;

/// Shares of the canaries that are guessed: half of them with the highest scores, half with the lowest. Guessing few is
/// best where only the extremes are right. Guessing all errs at least where the coins did not fall half and half, so two
/// fifths show more of a trainer that hides nothing.
pub const SHARES: [f64; 3] = [1.0, 0.4, 0.2];

/// One set of guesses about a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// The score behind the guesses.
    pub attack: &'static str,
    /// Share of the canaries that were guessed.
    pub share: f64,
    /// How they fell out.
    pub guesses: Guesses,
}

/// What an audit found about one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// ε that the plan claims.
    pub claim: f64,
    /// Lower bound on the ε spent, at the plan's δ.
    pub bound: f64,
    /// The look behind the bound; the first one where no look rules anything out. `None` without looks.
    pub look: Option<Look>,
}

impl Finding {
    /// The best bound of all looks, against the claim of `plan`.
    pub fn best(plan: &DpSgdPlan, looks: &[Look]) -> Self {
        let level = SIGNIFICANCE / looks.len() as f64;
        let mut finding = Self { claim: plan.epsilon(), bound: 0.0, look: looks.first().copied() };
        for look in looks {
            let bound = bound::epsilon_lower_bound(look.guesses, plan.delta().get(), level);
            if bound > finding.bound {
                finding = Self { bound, look: Some(*look), ..finding };
            }
        }
        finding
    }

    /// Whether the claim is refuted.
    pub fn exceeds_claim(&self) -> bool {
        self.bound > self.claim
    }
}

/// Refuses an audit that could refute nothing: even if all guesses were right, its bound would stay below the claim.
///
/// # Errors
/// [`AuditError::Powerless`]
pub fn check_power(plan: &DpSgdPlan, canaries: usize, attacks: usize) -> Result<(), AuditError> {
    let level = SIGNIFICANCE / (attacks * SHARES.len()) as f64;
    let (largest, claim) = (bound::largest_bound(canaries, plan.delta().get(), level), plan.epsilon());
    if largest <= claim { Err(AuditError::Powerless { canaries, largest, claim }) } else { Ok(()) }
}

/// The looks that one score gives: one a share.
pub fn looks(attack: &'static str, scores: &[f64], present: &[bool]) -> [Look; SHARES.len()] {
    SHARES.map(|share| Look { attack, share, guesses: guess(scores, present, share) })
}

/// Guesses the coins of `share` of the canaries: "in" for the highest scores, "out" for as many of the lowest.
pub fn guess(scores: &[f64], present: &[bool], share: f64) -> Guesses {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Ties fall by index, which knows nothing of the coins.
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let side = (share * scores.len() as f64 / 2.0) as usize;
    let hits = order[..side].iter().filter(|&&canary| present[canary]).count();
    let rejections = order[order.len() - side..].iter().filter(|&&canary| !present[canary]).count();
    Guesses { canaries: scores.len(), made: 2 * side, correct: hits + rejections }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
