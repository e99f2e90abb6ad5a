//! The exponential mechanism over a finite domain, with score −distance, exact in integers.
//!
//! # Contract
//! Each input x has a distance d(x, y) ≥ 0 to each output y of {0, …, V − 1}; what is above D (`max_distance`) counts
//! as D. McSherry & Talwar 2007 draw y with a weight of exp(−ε·d(x, y) / 2D), for which D is the sensitivity of the
//! score. Here
//!
//! ```text
//! P(y | x) = w(d(x, y)) / Z(x),   w(d) = ⌊2^b·exp(−ε′·d / 2D)⌋,   Z(x) = Σ_y w(d(x, y)) < 2⁶³
//! ```
//!
//! in integers, by a uniform integer below Z(x) from a CSPRNG. For all x, x′ and y, P(y | x) / P(y | x′) ≤ e^ε: pure
//! ε-LDP of one item.
//!
//! Proof sketch. Let g(d) be 2^b·exp(−ε′·d / 2D), at least 2^b·e^(−ε′/2). Rounding down and the error of the
//! exponential leave (1 − η)·g ≤ w ≤ g with η = 2^−b·e^(ε/2) + 2⁻⁴⁵. Distances are within D of each other, so g
//! changes by a factor of at most e^(ε′/2) between x and x′, and so does the sum of g over y. So the ratio is at most
//! e^ε′ / (1 − η)², and ε′ ≤ ε + 2·ln(1 − η) makes that e^ε. Nothing is asked of the distances: not symmetry, nor the
//! triangle inequality.
//!
//! # Two ways to draw
//! [`ExponentialMechanism::row`] takes all weights of an input. [`ExponentialMechanism::sample_under`] takes an
//! [`Envelope`] of cheap upper bounds U(y) ≥ w(d(x, y)) instead and looks at the weights of what it proposes only: a
//! uniform integer below Σ U falls in the interval of one y, at a place below U(y), and counts if that place is below
//! w(d(x, y)); else the next one is drawn. Of the integers that count, each y has exactly as many as its weight, so
//! both ways have the same distribution to the last bit.
//!
//! Not hidden: the time that a draw takes varies with the draw.

use rand::CryptoRng;

use super::{Contract, Sensitivity};
use crate::noise::uniform_below;
use crate::{DpError, Epsilon};

/// Weights are at most 2⁵², which an f64 holds exactly.
const MAX_WEIGHT_BITS: u32 = 52;
/// Sums of weights stay below 2⁶³.
const TOTAL_BITS: u32 = 63;
/// The smallest weight has this many bits, so that rounding costs ε no more than 2⁻²⁰ or so.
const MIN_WEIGHT_BITS: u32 = 20;

/// Widths of an [`Envelope`] are up to 2²³, the weight of distance 0: in f32 they are still whole numbers.
const ENVELOPE_BITS: u32 = 23;

/// Upper bounds of the weights of one input, in units of 2^([`weight_bits`](ExponentialMechanism::weight_bits) − 23).
///
/// The intervals [0, U(0)), [U(0), U(0) + U(1)), … of the outputs in any order share the numbers below the total.
pub trait Envelope {
    /// The sum of all bounds. At most the domain's size times 2²³.
    fn total(&self) -> u64;

    /// The output in whose interval `position`, a number below the total, lies.
    fn locate(&self, position: u64) -> Proposal;
}

/// One output's interval, and a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// The output.
    pub item: u32,
    /// From the interval's begin.
    pub offset: u64,
    /// The interval's length, U: at least the output's weight.
    pub width: u64,
}

/// Exponential mechanism over one domain: see the [module](self) for its contract.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialMechanism {
    domain: u32,
    max_distance: f64,
    epsilon: Epsilon,
    /// ε′ / 2D.
    rate: f64,
    weight_bits: u32,
}

impl ExponentialMechanism {
    /// A mechanism over `domain` items, at distances of at most `max_distance`.
    ///
    /// # Errors
    /// [`DpError::DomainSize`] for fewer than two items; [`DpError::MaxDistance`] unless it is positive and finite;
    /// [`DpError::ExponentialEpsilon`] if ε is too large for the weights.
    pub fn new(domain: u32, max_distance: f64, epsilon: Epsilon) -> Result<Self, DpError> {
        if domain < 2 {
            return Err(DpError::DomainSize(domain));
        }
        if !max_distance.is_normal() || max_distance < 0.0 {
            return Err(DpError::MaxDistance(max_distance));
        }
        let domain_bits = u32::BITS - (domain - 1).leading_zeros();
        let weight_bits = (TOTAL_BITS - domain_bits).min(MAX_WEIGHT_BITS);
        let max = 2.0 * f64::from(weight_bits - MIN_WEIGHT_BITS) * std::f64::consts::LN_2;
        if epsilon.get() > max {
            return Err(DpError::ExponentialEpsilon { epsilon: epsilon.get(), domain, max });
        }
        let rate = reduced_epsilon(epsilon.get(), weight_bits) / (2.0 * max_distance);
        Ok(Self { domain, max_distance, epsilon, rate, weight_bits })
    }

    /// The weight of an output at `distance`. One that is no number counts as the largest.
    pub fn weight(&self, distance: f64) -> u64 {
        // `min` gives the other number for a NaN.
        let distance = distance.min(self.max_distance).max(0.0);
        (libm::exp(-self.rate * distance) * DOWN * (1_u64 << self.weight_bits) as f64) as u64
    }

    /// The table of one input, given its distances to all outputs in order.
    ///
    /// # Panics
    /// If there are not as many as the domain has items.
    pub fn row(&self, distances: impl IntoIterator<Item = f64>) -> ExponentialRow {
        let add = |total: &mut u64, distance| {
            *total += self.weight(distance);
            Some(*total)
        };
        let cumulative: Vec<u64> = distances.into_iter().scan(0, add).collect();
        assert_eq!(cumulative.len(), self.domain as usize, "there must be a distance to each item");
        ExponentialRow { cumulative }
    }

    /// Draws an output of the input that `envelope` bounds and `distance` measures, as a [`row`](Self::row) would.
    ///
    /// # Panics
    /// If a bound is below a weight that it should bound: the draw would not have the right distribution.
    pub fn sample_under(
        &self,
        envelope: &impl Envelope,
        distance: impl Fn(u32) -> f64,
        rng: &mut impl CryptoRng,
    ) -> u32 {
        let bound = self.envelope_units_to_weight(envelope.total());
        loop {
            if let Some(item) = self.verdict(envelope, &distance, uniform_below(rng, bound)) {
                return item;
            }
        }
    }

    /// The output of one of the equally likely draws, or nothing if it is above the weight.
    fn verdict(&self, envelope: &impl Envelope, distance: impl Fn(u32) -> f64, draw: u64) -> Option<u32> {
        let shift = self.weight_bits - ENVELOPE_BITS;
        let Proposal { item, offset, width } = envelope.locate(draw >> shift);
        let offset = offset << shift | (draw & ((1 << shift) - 1));
        let weight = self.weight(distance(item));
        assert!(weight <= width << shift, "the envelope lies below the weight of item {item}");
        (offset < weight).then_some(item)
    }

    fn envelope_units_to_weight(&self, total: u64) -> u64 {
        let most = u64::from(self.domain) << ENVELOPE_BITS;
        assert!((1..=most).contains(&total), "the envelope is empty or larger than all weights can be");
        // Below 2⁶³: the domain's bits and the weights' are that many together.
        total << (self.weight_bits - ENVELOPE_BITS)
    }

    /// The number b of the [contract](self): no weight is above 2^b.
    pub fn weight_bits(&self) -> u32 {
        self.weight_bits
    }

    /// ε′ / 2D of the [contract](self): no weight is above 2^b·exp(−rate·distance).
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// D: what is further counts as this far.
    pub fn max_distance(&self) -> f64 {
        self.max_distance
    }

    /// V, the number of items.
    pub fn domain(&self) -> u32 {
        self.domain
    }

    /// What is promised for one item and for many.
    pub fn contract(&self) -> Contract {
        Contract::pure(self.epsilon, Sensitivity::Score(self.max_distance))
    }

    /// The ε asked for: what is promised.
    pub fn epsilon(&self) -> Epsilon {
        self.epsilon
    }
}

/// The output distribution of one input. As secret as the input, so it has no `Debug`.
#[derive(Clone)]
pub struct ExponentialRow {
    cumulative: Vec<u64>,
}

impl ExponentialRow {
    /// Draws an output.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> u32 {
        self.response(uniform_below(rng, self.total_weight()))
    }

    /// Maps each of the Z equally likely draws to an output: as many to each as its weight.
    fn response(&self, draw: u64) -> u32 {
        self.cumulative.partition_point(|&end| end <= draw) as u32
    }

    /// Z, the sum of all weights.
    pub fn total_weight(&self) -> u64 {
        // A row has at least two entries, so this is never the 0 of an empty one.
        self.cumulative.last().copied().unwrap_or(0)
    }
}

/// Takes away more than `libm::exp` (one unit of 2⁻⁵²), its argument (2⁻⁵³ of at most 2⁵) and the products may have
/// added: less than 2⁻⁵⁰ + 2⁻⁴⁸.
const DOWN: f64 = 1.0 - 1.0 / (1_u64 << 47) as f64;

/// ε + 2·ln(1 − η), rounded down. For an ε that rounding uses up it is 0, with which all weights are the same.
fn reduced_epsilon(epsilon: f64, weight_bits: u32) -> f64 {
    // The floor, then what `DOWN` and the errors that it covers can take from a weight.
    let eta = (libm::exp(epsilon / 2.0) / (1_u64 << weight_bits) as f64 + 4.0 * (1.0 - DOWN)) * 1.001;
    ((epsilon + 2.0 * libm::log1p(-eta)) * (1.0 - 1e-15)).max(0.0)
}

#[cfg(test)]
#[path = "exponential_tests.rs"]
mod tests;
