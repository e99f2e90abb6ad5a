//! The loss of a token that was received through a two-level channel, and the posterior of the token that was sent.
//!
//! # Definition
//! The model gives p(x) over all ids; the domain D is what passes the channel, ids outside of it (special tokens) are
//! never perturbed. With s = Σ_{x∈D} p(x), π = Σ_{x∈T(y)} p(x) / s and T(y) = {x : y ∈ B(x)}, a y of D is received with
//! probability
//!
//! ```text
//! q(y) = Σ_x p(x)·P(y | x) = s · (lo + (hi − lo)·π) / Z         loss = −ln q(y)
//! ∂loss/∂z_x = p(x) − p(x | y),    p(x | y) = p(x)·P(y | x) / q(y)
//! ```
//!
//! which is the forward correction of Patrini et al. 2017 (theorem 2) for this channel: in expectation over y it is least
//! where p is the distribution of the tokens that were sent. A y outside of D was not perturbed and has its plain
//! cross-entropy; so has every y as ε → ∞ with m = 1. q is a probability, so the loss is never negative, and it is at
//! most ln(Z/lo) − ln s.
//!
//! # Arithmetic
//! The softmax is over D alone, so nothing is lost when ids outside of it hold nearly all of p; s and 1 − s come from one
//! difference of logarithms. Sums over T(y), the weights (up to 2⁵³) and what they are multiplied with are f64. The
//! factor of a logit outside of T(y), s − lo/(lo + (hi − lo)·π), is rearranged so that nothing cancels when the channel
//! tells next to nothing.

use super::cross_entropy::{CrossEntropy, RowLoss, softmax};
use crate::channel::ChannelCorrection;

/// Share of the model's prediction in the prior that a received token is judged by; the rest is the public prior. With the
/// prediction alone, a model that does not yet know the owner's words takes them all for noise, puts its own in their
/// place and learns those: perplexity came out worse than with no prediction at all.
pub(crate) const MODEL_SHARE: f64 = 0.5;

impl RowLoss for ChannelCorrection {
    fn replace(&self, row: &mut [f32], target: u32) -> f64 {
        let Some(plausible) = self.plausible(target) else { return CrossEntropy.replace(row, target) };
        let split = Split::of(row, self);
        let (hi, lo) = self.weights();
        let sent = Sent::of(row, plausible);
        let weight = lo + (hi - lo) * sent.probability;
        let factor = (split.domain() * (hi - lo) * sent.probability - split.outside() * lo) / weight;
        row.iter_mut().for_each(|p| *p *= factor as f32);
        sent.put(row, plausible, factor - (hi - lo) / weight);
        for (&id, logit) in self.outside().iter().zip(&split.logits) {
            row[id as usize] = (f64::from(*logit) - split.log_all).exp() as f32;
        }
        split.log_all - split.log_domain - (weight / self.total_weight()).ln()
    }
}

/// Replaces a row of logits by the posterior probabilities of the ids, given that `received` came out of the channel: those
/// of p(x | y) above with [`MODEL_SHARE`] of p and the rest of the channel's public prior in the place of p.
pub(crate) fn posterior(row: &mut [f32], received: u32, channel: &ChannelCorrection) {
    let Some(plausible) = channel.plausible(received) else {
        row.fill(0.0);
        row[received as usize] = 1.0;
        return;
    };
    Split::of(row, channel);
    let prior = |(p, public): (&mut f32, &f64)| {
        *p = (MODEL_SHARE * f64::from(*p) + (1.0 - MODEL_SHARE) * public) as f32
    };
    row.iter_mut().zip(channel.prior()).for_each(prior);
    let (hi, lo) = channel.weights();
    let sent = Sent::of(row, plausible);
    let weight = lo + (hi - lo) * sent.probability;
    row.iter_mut().for_each(|p| *p *= (lo / weight) as f32);
    sent.put(row, plausible, hi / weight);
}

/// The logits of a row parted into domain and outside.
struct Split {
    /// Those of the ids outside, in their order.
    logits: Vec<f32>,
    /// Logarithm of the sum of exponentials over the domain.
    log_domain: f64,
    log_outside: f64,
    log_all: f64,
}

impl Split {
    /// Leaves the softmax over the domain in `row`, and zero outside.
    fn of(row: &mut [f32], channel: &ChannelCorrection) -> Self {
        let outside = channel.outside().iter();
        let logits: Vec<f32> =
            outside.map(|&id| std::mem::replace(&mut row[id as usize], f32::NEG_INFINITY)).collect();
        let log_domain = softmax(row);
        let log_outside = log_sum(logits.iter().map(|&logit| f64::from(logit)));
        let log_all = log_sum([log_domain, log_outside].into_iter());
        Self { logits, log_domain, log_outside, log_all }
    }

    /// s
    fn domain(&self) -> f64 {
        (self.log_domain - self.log_all).exp()
    }

    /// 1 − s
    fn outside(&self) -> f64 {
        (self.log_outside - self.log_all).exp()
    }
}

/// The probabilities in a row of the ids that may have been sent.
struct Sent {
    each: Vec<f32>,
    /// π
    probability: f64,
}

impl Sent {
    fn of(row: &[f32], plausible: &[u32]) -> Self {
        let each: Vec<f32> = plausible.iter().map(|&id| row[id as usize]).collect();
        let probability = each.iter().map(|&p| f64::from(p)).sum::<f64>().min(1.0);
        Self { each, probability }
    }

    /// Puts them back, each times `factor`.
    fn put(&self, row: &mut [f32], plausible: &[u32], factor: f64) {
        for (&id, p) in plausible.iter().zip(&self.each) {
            row[id as usize] = (f64::from(*p) * factor) as f32;
        }
    }
}

fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + values.map(|value| (value - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
#[path = "forward_corrected_tests.rs"]
mod tests;
