//! Randomised response over a finite domain, exact in integers.
//!
//! # Contract
//! Domain {0, …, V − 1}. Each item x has a public set B(x) of m distinct items, x among them. [`SetRandomizedResponse`]
//! returns y with probability
//!
//! ```text
//! P(y | x) = hi / Z  if y ∈ B(x),   lo / Z  otherwise,      Z = m·hi + (V − m)·lo
//! ```
//!
//! with integers hi ≥ lo ≥ 1. Z is the same for every x, because every set has m items; nothing else about the
//! sets matters (they need not be symmetric). So for all x, x′ and y, P(y | x) / P(y | x′) ≤ hi / lo ≤ e^ε: pure
//! ε-local differential privacy of one item. m = 1 with B(x) = {x} is k-ary randomised response (Kairouz, Bonawitz & Ramage
//! 2016): [`KaryRandomizedResponse`].
//!
//! # Exactness
//! lo is a power of two and hi = ⌊lo·e⌋ with e at most e^ε: `libm::exp` is within one unit in the last place (2⁻⁵²
//! relative), and e is its result times (1 − 2⁻⁵⁰), which rounds down by more than twice that. lo·e is exact, for lo only
//! moves the exponent; so hi / lo ≤ e ≤ e^ε. Draws are uniform over the integers below Z by rejection, from a CSPRNG.
//! No floating-point number decides an outcome.
//!
//! Not hidden: the time that a draw takes varies with the draw.

use rand::CryptoRng;

use crate::mechanism::{Contract, Sensitivity};
use crate::noise::uniform_below;
use crate::{DpError, Epsilon};

/// Z stays below 2⁵³, so that weights survive a JSON reader that holds numbers as doubles.
const MAX_TOTAL_WEIGHT: u64 = 1 << 53;
/// lo is at most 2³²: hi / lo then misses e^ε by less than 2⁻³², which nobody will want back.
const MAX_LOW_BITS: u32 = 32;

/// Two-level randomised response with neighbour sets of m items: see the [module](self) for its contract.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRandomizedResponse {
    domain: u32,
    set_size: u32,
    epsilon: Epsilon,
    hi: u64,
    lo: u64,
}

impl SetRandomizedResponse {
    /// A response over `domain` items with sets of `set_size` items at `epsilon`.
    ///
    /// # Errors
    /// [`DpError::SetSize`] unless 1 ≤ `set_size` < `domain`; [`DpError::EpsilonTooLarge`] if the weights would not be
    /// exact.
    pub fn new(domain: u32, set_size: u32, epsilon: Epsilon) -> Result<Self, DpError> {
        if set_size == 0 || set_size >= domain {
            return Err(DpError::SetSize { set_size, domain });
        }
        let ratio = exp_rounded_down(epsilon.get());
        for bits in (0..=MAX_LOW_BITS).rev() {
            let lo = 1_u64 << bits;
            let scaled = ratio * lo as f64;
            // Also keeps the casts below exact: both parts of Z are under 2⁵³.
            if scaled * f64::from(set_size) + lo as f64 * f64::from(domain - set_size)
                < MAX_TOTAL_WEIGHT as f64
            {
                return Ok(Self { domain, set_size, epsilon, hi: (scaled as u64).max(lo), lo });
            }
        }
        let max = libm::log((MAX_TOTAL_WEIGHT as f64 - f64::from(domain)) / f64::from(set_size));
        Err(DpError::EpsilonTooLarge { epsilon: epsilon.get(), set_size, max })
    }

    /// Draws the response to x, given the set B(x): exactly m distinct items of the domain, in any order.
    ///
    /// # Panics
    /// If `set` does not have m items: the guarantee would not hold. That they are distinct and in range is for the owner
    /// of the sets to check, once; it is asserted in debug builds.
    pub fn sample(&self, rng: &mut impl CryptoRng, set: &[u32]) -> u32 {
        assert_eq!(
            set.len(),
            self.set_size as usize,
            "the neighbour set must have as many items as the mechanism"
        );
        debug_assert!(
            set.iter().enumerate().all(|(i, item)| *item < self.domain && !set[..i].contains(item))
        );
        self.response(uniform_below(rng, self.total_weight()), set)
    }

    /// Maps each of the Z equally likely draws to a response: hi of them to each item inside, lo to each one outside.
    fn response(&self, draw: u64, set: &[u32]) -> u32 {
        let inside = self.hi * u64::from(self.set_size);
        if draw < inside {
            set[(draw / self.hi) as usize]
        } else {
            nth_outside(set, ((draw - inside) / self.lo) as u32)
        }
    }

    /// The integer weights (hi, lo) of one item inside and one outside of the set.
    pub fn weights(&self) -> (u64, u64) {
        (self.hi, self.lo)
    }

    /// Z = m·hi + (V − m)·lo.
    pub fn total_weight(&self) -> u64 {
        self.hi * u64::from(self.set_size) + self.lo * u64::from(self.domain - self.set_size)
    }

    /// Chance that the response is x itself.
    pub fn keep_probability(&self) -> f64 {
        self.hi as f64 / self.total_weight() as f64
    }

    /// Chance that the response is in B(x).
    pub fn set_probability(&self) -> f64 {
        self.keep_probability() * f64::from(self.set_size)
    }

    /// How much a response tells of x, in nats, when every item is equally likely and every item is in m sets:
    /// I(X; Y) = ln V − H(Y | X).
    ///
    /// What a reader can learn at all, so the larger the better at one ε; the m of the largest is within one of
    /// V·(ε·e^ε − e^ε + 1) / (e^ε − 1)² (Wang et al. 2016, arXiv:1607.08025).
    pub fn mutual_information(&self) -> f64 {
        let total = self.total_weight() as f64;
        let part = |weight: u64, items: u32| {
            let p = weight as f64 / total;
            f64::from(items) * p * libm::log(p)
        };
        libm::log(f64::from(self.domain))
            + part(self.hi, self.set_size)
            + part(self.lo, self.domain - self.set_size)
    }

    /// The set size from 1 to `largest` whose response at `epsilon` tells most: see
    /// [`mutual_information`](Self::mutual_information). The smallest one of several.
    ///
    /// # Errors
    /// As [`new`](Self::new), if not even sets of one item suit.
    pub fn most_informative(domain: u32, largest: u32, epsilon: Epsilon) -> Result<Self, DpError> {
        let mut best = Self::new(domain, 1, epsilon)?;
        // The information rises to one maximum and falls, so the first fall ends the search.
        for set_size in 2..=largest.min(domain.saturating_sub(1)) {
            match Self::new(domain, set_size, epsilon) {
                Ok(next) if next.mutual_information() > best.mutual_information() => best = next,
                _ => break,
            }
        }
        Ok(best)
    }

    /// Items in the domain, V.
    pub fn domain(&self) -> u32 {
        self.domain
    }

    /// Items in each set, m.
    pub fn set_size(&self) -> u32 {
        self.set_size
    }

    /// The ε asked for: what is promised.
    pub fn epsilon(&self) -> Epsilon {
        self.epsilon
    }

    /// What the response promises for one item and for many.
    pub fn contract(&self) -> Contract {
        Contract::pure(self.epsilon, Sensitivity::Discrete)
    }

    /// ln(hi / lo): what is spent, a trifle less than promised.
    pub fn exact_epsilon(&self) -> f64 {
        // The true value is at most ε; this logarithm, itself rounded, must not seem to exceed it.
        libm::log(self.hi as f64 / self.lo as f64).min(self.epsilon.get())
    }
}

/// k-ary randomised response: keeps the item with weight e^ε against 1 for each other one.
#[derive(Debug, Clone, PartialEq)]
pub struct KaryRandomizedResponse(SetRandomizedResponse);

impl KaryRandomizedResponse {
    /// A response over `domain` items at `epsilon`.
    ///
    /// # Errors
    /// [`DpError::SetSize`] for a domain of fewer than two items; [`DpError::EpsilonTooLarge`] if the weights would not be
    /// exact.
    pub fn new(domain: u32, epsilon: Epsilon) -> Result<Self, DpError> {
        SetRandomizedResponse::new(domain, 1, epsilon).map(Self)
    }

    /// Draws the response to `item`, which must be below [`domain`](SetRandomizedResponse::domain).
    pub fn sample(&self, rng: &mut impl CryptoRng, item: u32) -> u32 {
        self.0.sample(rng, &[item])
    }

    /// The same mechanism seen as a set response with m = 1: weights, probabilities and ε are there.
    pub fn as_set(&self) -> &SetRandomizedResponse {
        &self.0
    }

    /// The integer weights (hi, lo) of the item itself and of each other one.
    pub fn weights(&self) -> (u64, u64) {
        self.0.weights()
    }

    /// Chance that the item is kept.
    pub fn keep_probability(&self) -> f64 {
        self.0.keep_probability()
    }

    /// The ε asked for.
    pub fn epsilon(&self) -> Epsilon {
        self.0.epsilon()
    }

    /// What the response promises for one item and for many.
    pub fn contract(&self) -> Contract {
        self.0.contract()
    }

    /// ln(hi / lo).
    pub fn exact_epsilon(&self) -> f64 {
        self.0.exact_epsilon()
    }
}

/// A number at most e^ε and within 2⁻⁴⁹ of it: see the module's argument.
fn exp_rounded_down(epsilon: f64) -> f64 {
    const DOWN: f64 = 1.0 - 1.0 / (1_u64 << 50) as f64;
    libm::exp(epsilon) * DOWN
}

/// The item of rank `rank` (from 0) among those outside `set`: the least y with y = rank + |{s ∈ set : s ≤ y}|.
///
/// Iterating from y = rank rises monotonically to that least fixed point, in one or two passes as a rule. It is not in
/// the set: if it were, y − 1 would be a smaller fixed point.
fn nth_outside(set: &[u32], rank: u32) -> u32 {
    let mut y = rank;
    loop {
        let skipped = set.iter().filter(|&&item| item <= y).count() as u32;
        if rank + skipped == y {
            return y;
        }
        y = rank + skipped;
    }
}

#[cfg(test)]
#[path = "randomized_response_tests.rs"]
mod tests;
