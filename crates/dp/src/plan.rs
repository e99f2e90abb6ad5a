//! One DP-SGD run as one object.
//!
//! The guarantee of DP-SGD (Abadi et al. 2016, Algorithm 1) is a statement about the sampler, the clipping norm, the noise
//! and the number of steps together; four loose settings are four ways to void it. [`DpSgdPlan`] holds them all, can only be
//! built and read back consistent, and is the only thing that a trainer needs:
//!
//! ```text
//! batch  = plan.batch(seed, step)
//! sum    = plan.step(gradient's dimension), to which each record of the batch adds its gradient and its loss
//! update = sum.release(seed, step), the noisy mean over plan.expected_batch_size()
//! ```
//!
//! # Losses
//! A run may also release each step's loss, clipped, summed over the same batch and noised. Gradient sum and loss sum are then one
//! Gaussian query of the batch: with noise multipliers z and z_l its parts, scaled to unit noise, have sensitivities 1 / z and
//! 1 / z_l, together √(1/z² + 1/z_l²). So a step spends what one Gaussian step of noise multiplier (1/z² + 1/z_l²)^(−½) spends,
//! the [effective](DpSgdPlan::effective_noise_multiplier) one, and the accountant is told that.
//!
//! # What the sensitivity rests on
//! Each record enters a step's sums at most once, through one clipped vector and one clipped number, whatever its length: chunks of
//! a long record are added up before clipping, and what is beyond the cap is dropped. An empty batch is a step like any other.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::accountant::rdp::RdpCurve;
use crate::accountant::{Event, pld, rdp};
use crate::sums::{BatchSums, Noise};
use crate::{
    Accountant, ClippedSum, Delta, DpError, Epsilon, NeighboringRelation, PrivacyUnit, Purpose, SecretSeed,
    calibration, poisson,
};

/// Steps are counted in f64 by the accountant; far below 2⁵³, and no run is longer.
pub const MAX_STEPS: u64 = 100_000_000;

/// Upper end of a released loss, in nats a token: above ln(256,000), what guessing among the largest vocabulary in use costs.
/// Losses are clipped to 0 … this.
pub const MAX_LOSS: f64 = 12.5;

/// Share of a step's 1/z² that pays for its loss when losses are released: it costs the gradient 2.6 % more noise, and the noise
/// on a loss is √19 times that on a gradient.
const LOSS_SHARE: f64 = 0.05;

/// Digits that a calibrated noise multiplier is rounded up to. The accountant's last bits differ from host to host with the instructions
/// it has; whoever repeats a calibration elsewhere finds the same plan. Costs ε less than a hundred-thousandth.
const NOISE_DIGITS: i32 = 6;

/// What an owner asks of a run: the plan's noise is found from it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRequest {
    /// Privacy units in the data.
    pub records: usize,
    /// Mean size of a Poisson batch; `expected_batch_size / records` is the sampling rate.
    pub expected_batch_size: usize,
    /// Noisy steps of the whole run.
    pub steps: u64,
    /// L2 norm to which each record's gradient is clipped.
    pub max_grad_norm: f64,
    /// The ε that the run may spend in all.
    pub target_epsilon: Epsilon,
    /// The δ at which ε is stated.
    pub delta: Delta,
    /// What one record is.
    pub unit: PrivacyUnit,
    /// Whether each step's loss is released too.
    pub release_losses: bool,
}

/// A request without its target ε, for a run whose noise multiplier is given.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanParameters {
    /// Privacy units in the data.
    pub records: usize,
    /// Mean size of a Poisson batch; `expected_batch_size / records` is the sampling rate.
    pub expected_batch_size: usize,
    /// Noisy steps of the whole run.
    pub steps: u64,
    /// L2 norm to which each record's gradient is clipped.
    pub max_grad_norm: f64,
    /// The δ at which ε is stated.
    pub delta: Delta,
    /// What one record is.
    pub unit: PrivacyUnit,
    /// Noise multiplier of the released losses; none when no loss is released.
    pub loss_noise_multiplier: Option<f64>,
    /// The method behind ε.
    pub accountant: Accountant,
}

/// Sampler, clipping norm, noise and accounting event of one DP-SGD run. Always consistent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "PlanFields", into = "PlanFields")]
pub struct DpSgdPlan {
    fields: PlanFields,
    // Worked out when first asked for: plans are read far more often than accounted.
    epsilon: OnceLock<f64>,
    curve: OnceLock<RdpCurve>,
}

impl PartialEq for DpSgdPlan {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl std::fmt::Debug for DpSgdPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fields.fmt(f)
    }
}

/// The plan as it is written. The sampling rate is not in it: it follows from the two counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFields {
    records: usize,
    expected_batch_size: usize,
    steps: u64,
    max_grad_norm: f64,
    noise_multiplier: f64,
    delta: Delta,
    unit: PrivacyUnit,
    relation: NeighboringRelation,
    accountant: Accountant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_noise_multiplier: Option<f64>,
}

impl PlanFields {
    fn sampling_rate(&self) -> f64 {
        self.expected_batch_size as f64 / self.records as f64
    }

    fn effective_noise_multiplier(&self) -> f64 {
        match self.loss_noise_multiplier {
            None => self.noise_multiplier,
            // Rounded down by more than the three roundings in it: less noise is never too little ε.
            Some(loss) => (1.0 - 8.0 * f64::EPSILON) / libm::hypot(1.0 / self.noise_multiplier, 1.0 / loss),
        }
    }

    fn check(&self) -> Result<(), DpError> {
        if self.records == 0 {
            return Err(DpError::NoRecords);
        }
        if !(1..=self.records).contains(&self.expected_batch_size) {
            let Self { expected_batch_size, records, .. } = *self;
            return Err(DpError::BatchSize { expected_batch_size, records });
        }
        if !(1..=MAX_STEPS).contains(&self.steps) {
            return Err(DpError::Steps(self.steps));
        }
        if !(self.max_grad_norm.is_finite() && self.max_grad_norm > 0.0) {
            return Err(DpError::MaxGradNorm(self.max_grad_norm));
        }
        for noise in [self.noise_multiplier].into_iter().chain(self.loss_noise_multiplier) {
            if !(noise.is_finite() && noise > 0.0) {
                return Err(DpError::NoiseMultiplier(noise));
            }
            // What a step sums in must exist: the lattice has bounds of its own.
            ClippedSum::new(0, self.max_grad_norm, noise)?;
        }
        Ok(())
    }
}

impl TryFrom<PlanFields> for DpSgdPlan {
    type Error = DpError;

    fn try_from(fields: PlanFields) -> Result<Self, DpError> {
        fields.check()?;
        Ok(Self { fields, epsilon: OnceLock::new(), curve: OnceLock::new() })
    }
}

impl From<DpSgdPlan> for PlanFields {
    fn from(plan: DpSgdPlan) -> Self {
        plan.fields
    }
}

impl DpSgdPlan {
    /// Finds the least noise with which the whole run stays within the target ε.
    ///
    /// # Errors
    /// A [`DpError`] that names the setting which is out of range, or the target that cannot be met.
    pub fn calibrate(request: PlanRequest) -> Result<Self, DpError> {
        let target = request.target_epsilon;
        let release_losses = request.release_losses;
        // Any multiplier will do to check the other settings, which the calibration needs in range.
        let mut fields = PlanParameters::from(request).with_noise(1.0);
        fields.check()?;
        let effective =
            calibration::noise_multiplier(target, fields.delta, fields.sampling_rate(), fields.steps)?;
        fields.noise_multiplier = round_up(effective);
        if release_losses {
            let share = |share: f64| round_up(effective / share.sqrt());
            fields.noise_multiplier = share(1.0 - LOSS_SHARE);
            fields.loss_noise_multiplier = Some(share(LOSS_SHARE));
        }
        Self::try_from(fields)
    }

    /// Takes the noise as given; [`epsilon`](Self::epsilon) then says what the run spends.
    ///
    /// # Errors
    /// A [`DpError`] that names the setting which is out of range.
    pub fn with_noise_multiplier(parameters: PlanParameters, noise_multiplier: f64) -> Result<Self, DpError> {
        Self::try_from(parameters.with_noise(noise_multiplier))
    }

    /// Privacy units in the data.
    pub fn records(&self) -> usize {
        self.fields.records
    }

    /// Chance of each record to be in a step's batch.
    pub fn sampling_rate(&self) -> f64 {
        self.fields.sampling_rate()
    }

    /// Mean batch size. It, never the realised size, divides the noisy sum.
    pub fn expected_batch_size(&self) -> usize {
        self.fields.expected_batch_size
    }

    /// Noisy steps of the whole run.
    pub fn steps(&self) -> u64 {
        self.fields.steps
    }

    /// L2 norm to which each record's gradient is clipped: the sensitivity of the sum.
    pub fn max_grad_norm(&self) -> f64 {
        self.fields.max_grad_norm
    }

    /// Standard deviation of the noise in units of [`max_grad_norm`](Self::max_grad_norm).
    pub fn noise_multiplier(&self) -> f64 {
        self.fields.noise_multiplier
    }

    /// Noise multiplier of the released losses, over half of [`MAX_LOSS`]; none when no loss is released.
    pub fn loss_noise_multiplier(&self) -> Option<f64> {
        self.fields.loss_noise_multiplier
    }

    /// Noise multiplier of all that a step releases together.
    pub fn effective_noise_multiplier(&self) -> f64 {
        self.fields.effective_noise_multiplier()
    }

    /// The δ at which ε is stated.
    pub fn delta(&self) -> Delta {
        self.fields.delta
    }

    /// What one record is.
    pub fn unit(&self) -> PrivacyUnit {
        self.fields.unit
    }

    /// What neighbouring data sets differ in.
    pub fn relation(&self) -> NeighboringRelation {
        self.fields.relation
    }

    /// The method behind ε.
    pub fn accountant(&self) -> Accountant {
        self.fields.accountant
    }

    /// The records of one step's batch, in ascending order: each with chance [`sampling_rate`](Self::sampling_rate).
    pub fn batch(&self, seed: &SecretSeed, step: u64) -> Vec<usize> {
        let mut rng = seed.stream(Purpose::PoissonSampling, step);
        poisson::sample_batch(&mut rng, self.fields.records, self.sampling_rate())
    }

    /// The noise multipliers of what a step releases.
    pub(crate) fn noise(&self) -> Noise {
        let PlanFields { noise_multiplier, loss_noise_multiplier, .. } = self.fields;
        Noise { gradient: noise_multiplier, loss: loss_noise_multiplier }
    }

    /// The sums of one step, empty: what the records of its batch add to, and what leaves it.
    pub fn step(&self, dimension: usize) -> StepSum<'_> {
        StepSum { plan: self, sums: BatchSums::new(dimension, self.fields.max_grad_norm, self.noise()) }
    }

    /// What an accountant is told of the whole run.
    pub fn event(&self) -> Event {
        self.event_of(self.fields.steps)
    }

    /// What an accountant is told of the losses alone, had a run ended after `steps` steps and released no adapter; none when no loss was.
    pub fn loss_event(&self, steps: u64) -> Option<Event> {
        let noise = self.fields.loss_noise_multiplier.filter(|_| steps > 0)?;
        // In range: the plan's own values, and no more steps than it has.
        Event::subsampled_gaussian(noise, self.sampling_rate(), steps.min(self.fields.steps)).ok()
    }

    fn event_of(&self, steps: u64) -> Event {
        Event::subsampled_gaussian(self.effective_noise_multiplier(), self.sampling_rate(), steps)
            // The plan's checks are the event's, and the effective multiplier of positive numbers is positive.
            .expect("a valid plan makes a valid event")
    }

    /// The ε of the whole run. Never errs low.
    pub fn epsilon(&self) -> f64 {
        let Self { fields, .. } = self;
        *self.epsilon.get_or_init(|| match fields.accountant {
            Accountant::Pld => pld::epsilon(&[self.event()], fields.delta),
            Accountant::Rdp => {
                let noise = self.effective_noise_multiplier();
                rdp::epsilon(noise, self.sampling_rate(), fields.steps, fields.delta)
            }
        })
    }

    /// An upper bound on the ε spent after `steps` steps, quick enough to be asked after every one; 0 after none.
    ///
    /// The lesser of the Rényi bound and the whole run's ε: a run never spends more by stopping early.
    pub fn epsilon_after(&self, steps: u64) -> f64 {
        if steps >= self.fields.steps {
            return self.epsilon();
        }
        let curve =
            self.curve.get_or_init(|| RdpCurve::new(self.effective_noise_multiplier(), self.sampling_rate()));
        curve.epsilon(steps, self.fields.delta).min(self.epsilon())
    }
}

/// `value` > 0 rounded up to [`NOISE_DIGITS`] significant digits.
fn round_up(value: f64) -> f64 {
    let scale = libm::pow(10.0, f64::from(NOISE_DIGITS - 1) - libm::floor(libm::log10(value)));
    libm::ceil(value * scale) / scale
}

/// One step's clipped sums before their release; as secret as the records.
#[derive(Debug, Clone)]
pub struct StepSum<'a> {
    plan: &'a DpSgdPlan,
    sums: BatchSums,
}

/// What a step releases: all that may be known of its batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// The noisy sum of the clipped gradients over the expected batch size.
    pub gradient: Vec<f32>,
    /// The noisy mean loss, in nats a token, if the plan pays for it.
    pub loss: Option<f64>,
}

impl StepSum<'_> {
    /// Adds one record: its gradient, clipped, and its loss, clipped to 0 … [`MAX_LOSS`] (one that is no number counts as the middle).
    ///
    /// # Panics
    /// If the gradient has another dimension than the sum.
    pub fn add(&mut self, gradient: &[f32], loss: f64) {
        self.sums.add(gradient, loss);
    }

    /// Adds the step's noise, the same whenever the step is run again with the same seed.
    pub fn release(self, seed: &SecretSeed, step: u64) -> Released {
        let batch = self.plan.fields.expected_batch_size as f64;
        let gradient =
            self.sums.gradients.release_scaled(&mut seed.stream(Purpose::GradientNoise, step), batch);
        let loss = self.sums.losses.map(|losses| {
            let noisy = losses.release(&mut seed.stream(Purpose::LossNoise, step));
            MAX_LOSS / 2.0 + noisy.iter().sum::<f64>() / batch
        });
        Released { gradient, loss }
    }
}

impl From<PlanRequest> for PlanParameters {
    fn from(request: PlanRequest) -> Self {
        let PlanRequest { records, expected_batch_size, steps, max_grad_norm, delta, unit, .. } = request;
        let accountant = Accountant::Pld;
        let loss_noise_multiplier = None;
        Self {
            records,
            expected_batch_size,
            steps,
            max_grad_norm,
            delta,
            unit,
            loss_noise_multiplier,
            accountant,
        }
    }
}

impl PlanParameters {
    fn with_noise(self, noise_multiplier: f64) -> PlanFields {
        PlanFields {
            records: self.records,
            expected_batch_size: self.expected_batch_size,
            steps: self.steps,
            max_grad_norm: self.max_grad_norm,
            noise_multiplier,
            delta: self.delta,
            unit: self.unit,
            relation: NeighboringRelation::AddOrRemoveOne,
            accountant: self.accountant,
            loss_noise_multiplier: self.loss_noise_multiplier,
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
