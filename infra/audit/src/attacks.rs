//! Scores that say how likely a canary was in the data, from what training released of its coordinate.
//!
//! The family is fixed, and the same for every trainer, since whoever picks the attack after seeing the result finds
//! what is not there. All look at u, the released mean times B/C: a canary in the batch shows as 1, any other as 0,
//! both under noise whose deviation the plan says is z. The attacker does not believe the plan: the deviation σ is
//! read off the releases.
//!
//! | attack | score of a canary | made for |
//! |---|---|---|
//! | [`Attack::Poisson`] | Σ_t ln(1 − q + q·e^{w_t}), w_t = (2u_t − 1)/2σ² | any trainer with Poisson batches: the exact likelihood ratio of the honest one (Neyman & Pearson), and of too little noise |
//! | [`Attack::Slot`] | ln mean over the slots s of an epoch of e^{Σ_k w_{s + kS}} | batches that repeat each epoch: the exact ratio there |
//! | [`Attack::Range`] | max_t u_t − min_t u_t | noise that is absent or the same in each step |
//! | [`Attack::Jump`] | max_t abs(u_t − u_{t−1}) | the same where the noise drifts |

/// A score; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Likelihood ratio of Poisson batches.
    Poisson,
    /// Likelihood ratio of batches that repeat each epoch.
    Slot,
    /// Largest less smallest release.
    Range,
    /// Largest change from one release to the next.
    Jump,
}

impl Attack {
    /// Every attack of the family.
    pub const ALL: [Self; 4] = [Self::Poisson, Self::Slot, Self::Range, Self::Jump];

    /// A name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "Poisson",
            Self::Slot => "slot",
            Self::Range => "range",
            Self::Jump => "jump",
        }
    }

    /// The score of one canary from its releases `u`, step by step.
    pub fn score(self, u: &[f32], model: &Model) -> f64 {
        match self {
            Self::Poisson => u.iter().map(|&u| model.ln_step_ratio(u)).sum(),
            Self::Slot => {
                let slots: Vec<f64> = (0..model.slots.min(u.len()))
                    .map(|slot| u.iter().skip(slot).step_by(model.slots).map(|&u| model.exponent(u)).sum())
                    .collect();
                ln_mean_exp(&slots)
            }
            Self::Range => {
                let (low, high) = u
                    .iter()
                    .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &u| (low.min(u), high.max(u)));
                f64::from(high) - f64::from(low)
            }
            Self::Jump => {
                u.windows(2).map(|pair| (f64::from(pair[1]) - f64::from(pair[0])).abs()).fold(0.0, f64::max)
            }
        }
    }
}

/// What the likelihood ratios assume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// Chance q of a record to be in a batch.
    pub sampling_rate: f64,
    /// Deviation σ of the noise on u.
    pub deviation: f64,
    /// Batches S of one epoch.
    pub slots: usize,
}

impl Model {
    /// The model of a run that claims `noise_multiplier`, with the deviation seen in `releases` (all canaries, all steps).
    ///
    /// The median of |u| is 0.6745 deviations of a normal law, and canaries are in too few batches to move it. Where it
    /// is 0 there is no noise, and a hundredth of the claim stands in to keep the exponents finite.
    pub fn fit(sampling_rate: f64, noise_multiplier: f64, releases: &[f32]) -> Self {
        const MEDIAN_OF_ABSOLUTE_NORMAL: f64 = 0.674_489_750_196_081_7;
        let mut sizes: Vec<f32> = releases.iter().map(|u| u.abs()).collect();
        let middle = sizes.len() / 2;
        let median =
            if sizes.is_empty() { 0.0 } else { *sizes.select_nth_unstable_by(middle, f32::total_cmp).1 };
        let deviation = (f64::from(median) / MEDIAN_OF_ABSOLUTE_NORMAL).max(noise_multiplier / 100.0);
        Self { sampling_rate, deviation, slots: (1.0 / sampling_rate).round().max(1.0) as usize }
    }

    /// ln of N(u; 1, σ²) / N(u; 0, σ²).
    fn exponent(&self, u: f32) -> f64 {
        (2.0 * f64::from(u) - 1.0) / (2.0 * self.deviation * self.deviation)
    }

    fn ln_step_ratio(&self, u: f32) -> f64 {
        let (q, w) = (self.sampling_rate, self.exponent(u));
        if q >= 1.0 {
            // ln(1 − 1 + e^w), which the last line would lose to rounding.
            w
        } else if w > 30.0 {
            // The 1 − q in the sum lies below its rounding for every q that is worth a batch.
            w + libm::log(q)
        } else {
            libm::log1p(q * libm::expm1(w))
        }
    }
}

fn ln_mean_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|value| libm::exp(value - largest)).sum();
    largest + libm::log(sum / values.len() as f64)
}

#[cfg(test)]
#[path = "attacks_tests.rs"]
mod tests;
