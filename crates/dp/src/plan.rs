//! One DP-SGD run as one object.
//!
//! The guarantee of DP-SGD (Abadi et al. 2016, Algorithm 1) is a statement about the sampler, the clipping norm, the noise
//! and the number of steps together; four loose settings are four ways to void it. [`DpSgdPlan`] holds them all, can only be
//! built and read back consistent, and is the only thing that a trainer needs:
//!
//! ```text
//! batch  = poisson::sample_batch(plan.records(), plan.sampling_rate())
//! sum    = Σ clip(gradient of one record, plan.max_grad_norm()) + N(0, plan.noise_standard_deviation()²)
//! update = sum / plan.expected_batch_size()
//! ```

use serde::{Deserialize, Serialize};

use crate::accountant::rdp::RdpCurve;
use crate::{Accountant, Delta, DpError, Epsilon, NeighboringRelation, PrivacyUnit, calibration};

/// Steps are counted in f64 by the accountant; far below 2⁵³, and no run is longer.
pub const MAX_STEPS: u64 = 100_000_000;

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
}

/// Sampler, clipping norm, noise and accounting event of one DP-SGD run. Always consistent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanFields", into = "PlanFields")]
pub struct DpSgdPlan {
    fields: PlanFields,
    curve: RdpCurve,
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
}

impl PlanFields {
    fn sampling_rate(&self) -> f64 {
        self.expected_batch_size as f64 / self.records as f64
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
        if !(self.noise_multiplier.is_finite() && self.noise_multiplier > 0.0) {
            return Err(DpError::NoiseMultiplier(self.noise_multiplier));
        }
        Ok(())
    }
}

impl TryFrom<PlanFields> for DpSgdPlan {
    type Error = DpError;

    fn try_from(fields: PlanFields) -> Result<Self, DpError> {
        fields.check()?;
        let curve = RdpCurve::new(fields.noise_multiplier, fields.sampling_rate());
        Ok(Self { fields, curve })
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
        let PlanRequest { records, expected_batch_size, steps, max_grad_norm, target_epsilon, delta, unit } =
            request;
        let parameters = PlanParameters { records, expected_batch_size, steps, max_grad_norm, delta, unit };
        // Any multiplier will do to check the other settings, which the calibration needs in range.
        let mut fields = parameters.with_noise(1.0);
        fields.check()?;
        fields.noise_multiplier =
            calibration::noise_multiplier(target_epsilon, delta, fields.sampling_rate(), steps)?;
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

    /// Standard deviation of the noise on every coordinate of the clipped sum (not of its mean).
    pub fn noise_standard_deviation(&self) -> f64 {
        self.fields.noise_multiplier * self.fields.max_grad_norm
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

    /// The ε of the whole run.
    pub fn epsilon(&self) -> f64 {
        self.epsilon_after(self.fields.steps)
    }

    /// The ε spent after `steps` steps; 0 after none. Never errs low.
    pub fn epsilon_after(&self, steps: u64) -> f64 {
        self.curve.epsilon(steps, self.fields.delta)
    }
}

impl PlanParameters {
    fn with_noise(self, noise_multiplier: f64) -> PlanFields {
        let Self { records, expected_batch_size, steps, max_grad_norm, delta, unit } = self;
        let (relation, accountant) = (NeighboringRelation::AddOrRemoveOne, Accountant::Rdp);
        PlanFields {
            records,
            expected_batch_size,
            steps,
            max_grad_norm,
            noise_multiplier,
            delta,
            unit,
            relation,
            accountant,
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
