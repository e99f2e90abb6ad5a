//! From right guesses to a lower bound on ε.
//!
//! # Contract
//! Each of m canaries is in the data or not by an independent fair coin. An (ε, δ)-DP algorithm (add or remove one)
//! runs once; from its output alone someone guesses r of the coins, whichever they like, and v guesses are right. Then, by
//! Theorem 5.2 of Steinke, Nasr & Jagielski, *Privacy Auditing with One (1) Training Run* (2023, arXiv:2305.08846), with
//! W ~ Binomial(r, q) and q = e^ε / (1 + e^ε),
//!
//! ```text
//! P[v or more right] ≤ β + 2·m·δ·α,   β = P[W ≥ v],   α = max over i = 1 … v of P[v > W ≥ v − i] / i
//! ```
//!
//! [`p_value`] is the right-hand side (Appendix D gives it as a program), [`epsilon_lower_bound`] the largest ε found at
//! which it lies below a level. If the algorithm is (ε, δ)-DP, the bound exceeds ε with at most that probability.
//!
//! Why it holds, in short: at δ = 0 the posterior odds of each coin, given the output and the earlier coins, lie within
//! e^±ε, so each guess is right with a probability of at most q whatever came before, and v is stochastically dominated by
//! W. Each canary may leave the bound with probability δ for either value of its coin, and α is what one such escape is
//! worth at most, averaged over how many there may be.
//!
//! # Several looks at one run
//! Whoever tries k sets of guesses and reports the best must divide the level by k (Bonferroni), as
//! [`Finding::best`](crate::finding::Finding::best) does.
//!
//! # Numerics
//! Each binomial term is taken from its logarithm, so that no factor overflows or underflows. The relative error against
//! the golden values is below 1e-9; every p-value is enlarged by that much, so that the bound never errs high.

use libm::{exp, lgamma, log1p};

/// The error of `lgamma` becomes about 1e-11 of a term at 10⁴ canaries; this covers it a hundred times.
const ROUND_UP: f64 = 1.0 + 1e-9;
/// No number of canaries that could be run rejects an ε of this size.
const LARGEST_EPSILON: f64 = 64.0;
/// Halvings of [0, 64]: to 2⁻³⁴, far below any digit that is printed.
const BISECTIONS: u32 = 40;

/// What an auditor guessed about the canaries of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    /// Canaries whose coins were tossed, guessed or not.
    pub canaries: usize,
    /// Canaries that were guessed.
    pub made: usize,
    /// Guesses that were right.
    pub correct: usize,
}

impl Guesses {
    fn is_consistent(self) -> bool {
        self.correct <= self.made && self.made <= self.canaries
    }
}

/// Largest probability of so many right guesses under (ε, δ)-DP; 1 for counts that contradict each other, and for an ε
/// or a δ that is no such number, so that a mistake never looks like evidence.
pub fn p_value(guesses: Guesses, epsilon: f64, delta: f64) -> f64 {
    if !guesses.is_consistent() || !(0.0..f64::INFINITY).contains(&epsilon) || !(0.0..=1.0).contains(&delta) {
        return 1.0;
    }
    let Guesses { canaries, made, correct } = guesses;
    let binomial = Binomial::new(made, epsilon);
    let tail: f64 = (correct..=made).rev().map(|k| binomial.mass(k)).sum();
    let (mut below, mut escape) = (0.0, 0.0f64);
    for i in 1..=correct {
        below += binomial.mass(correct - i);
        escape = escape.max(below / i as f64);
    }
    ((tail + 2.0 * canaries as f64 * delta * escape) * ROUND_UP).min(1.0)
}

/// A lower bound on ε at `delta`, right with probability `1 − significance`; 0 if the guesses rule nothing out.
pub fn epsilon_lower_bound(guesses: Guesses, delta: f64, significance: f64) -> f64 {
    let rejected = |epsilon| p_value(guesses, epsilon, delta) < significance;
    if !rejected(0.0) {
        return 0.0;
    }
    // A rejected ε is a valid bound wherever it lies, since a smaller ε implies it: only `low` is ever returned.
    let (mut low, mut high) = (0.0, LARGEST_EPSILON);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if rejected(middle) { low = middle } else { high = middle }
    }
    low
}

/// The ε that is ruled out at `delta` if every one of `canaries` guesses is right: no audit of as many can show more.
pub fn largest_bound(canaries: usize, delta: f64, significance: f64) -> f64 {
    let all = Guesses { canaries, made: canaries, correct: canaries };
    epsilon_lower_bound(all, delta, significance)
}

/// Binomial(n, e^ε / (1 + e^ε)).
struct Binomial {
    n: f64,
    ln_hit: f64,
    ln_miss: f64,
    ln_n_factorial: f64,
}

impl Binomial {
    fn new(n: usize, epsilon: f64) -> Self {
        let n = n as f64;
        let ln_hit = -log1p(exp(-epsilon));
        Self { n, ln_hit, ln_miss: ln_hit - epsilon, ln_n_factorial: lgamma(n + 1.0) }
    }

    fn mass(&self, k: usize) -> f64 {
        let k = k as f64;
        let ln_choose = self.ln_n_factorial - lgamma(k + 1.0) - lgamma(self.n - k + 1.0);
        exp(ln_choose + k * self.ln_hit + (self.n - k) * self.ln_miss)
    }
}

#[cfg(test)]
#[path = "bound_tests.rs"]
mod tests;
