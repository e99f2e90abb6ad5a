//! Trainers that are broken on purpose, one bug each, so that the audit can be seen to work.
//!
//! Each replaces one piece of the honest [`PoissonGaussian`] and keeps the rest of it, and all claim the ε of the plan
//! that they do not follow. They are bugs that have been made: noise left out or scaled wrongly, the mean clipped in
//! place of each record, epochs of shuffled batches accounted as Poisson batches, a generator seeded alike in each step.

use dp::{Clipper, DpError, DpSgdPlan, PlanParameters, Purpose, Released, SecretSeed};
use finetune::{Accumulate, PoissonGaussian, StepMechanism};
use rand::Rng;

/// A trainer under audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The mechanism that ships.
    Honest,
    /// Clips, and adds no noise.
    NoNoise,
    /// Adds half the noise that it claims.
    HalfNoise,
    /// Clips the batch's mean gradient in place of each record's.
    ClipAfterSum,
    /// Deals batches of a fixed size from one secret shuffle, the same batches in every epoch.
    ShuffledOnce,
    /// Draws the same noise in every step.
    SeedReuse,
}

impl Subject {
    /// The honest trainer, then every broken one.
    pub const ALL: [Self; 6] = [
        Self::Honest,
        Self::NoNoise,
        Self::HalfNoise,
        Self::ClipAfterSum,
        Self::ShuffledOnce,
        Self::SeedReuse,
    ];

    /// A name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::NoNoise => "no noise",
            Self::HalfNoise => "half the noise",
            Self::ClipAfterSum => "clip after sum",
            Self::ShuffledOnce => "shuffled, not Poisson",
            Self::SeedReuse => "seed reuse",
        }
    }

    /// Whether an audit should find more than the plan claims.
    pub fn is_broken(self) -> bool {
        self != Self::Honest
    }

    /// What the trainer does under the name of `plan`.
    ///
    /// # Errors
    /// [`DpError`] if the plan with half its noise is no plan.
    pub fn mechanism(self, plan: &DpSgdPlan, seed: SecretSeed) -> Result<Box<dyn StepMechanism>, DpError> {
        let honest = PoissonGaussian { plan: plan.clone(), clipper: Clipper::default(), seed };
        Ok(match self {
            Self::Honest => Box::new(honest),
            Self::NoNoise => Box::new(NoNoise(honest)),
            Self::HalfNoise => Box::new(PoissonGaussian { plan: half_the_noise(plan)?, ..honest }),
            Self::ClipAfterSum => Box::new(ClipAfterSum(honest)),
            Self::ShuffledOnce => Box::new(ShuffledOnce::new(honest)),
            Self::SeedReuse => Box::new(SeedReuse(honest)),
        })
    }
}

/// The plan with half the noise; its [`epsilon`](DpSgdPlan::epsilon) is what such a run really spends.
fn half_the_noise(plan: &DpSgdPlan) -> Result<DpSgdPlan, DpError> {
    let parameters = PlanParameters {
        records: plan.records(),
        expected_batch_size: plan.expected_batch_size(),
        steps: plan.steps(),
        max_grad_norm: plan.max_grad_norm(),
        delta: plan.delta(),
        unit: plan.unit(),
        loss_noise_multiplier: None,
        accountant: plan.accountant(),
    };
    DpSgdPlan::with_noise_multiplier(parameters, plan.noise_multiplier() / 2.0)
}

struct NoNoise(PoissonGaussian);

impl StepMechanism for NoNoise {
    fn batch(&self, step: u64) -> Vec<usize> {
        self.0.batch(step)
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        Box::new(NoNoiseSum { plan: &self.0.plan, sum: vec![0.0; dimension] })
    }
}

struct NoNoiseSum<'a> {
    plan: &'a DpSgdPlan,
    sum: Vec<f32>,
}

impl Accumulate for NoNoiseSum<'_> {
    fn add(&mut self, gradient: &[f32], _: f64) {
        add(&mut self.sum, gradient, clipping_factor(gradient, self.plan.max_grad_norm()));
    }

    fn release(self: Box<Self>, _: u64) -> Released {
        let divisor = self.plan.expected_batch_size() as f32;
        Released { gradient: self.sum.into_iter().map(|value| value / divisor).collect(), loss: None }
    }
}

struct ClipAfterSum(PoissonGaussian);

impl StepMechanism for ClipAfterSum {
    fn batch(&self, step: u64) -> Vec<usize> {
        self.0.batch(step)
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        Box::new(ClipAfterSumSum { mechanism: &self.0, sum: vec![0.0; dimension] })
    }
}

struct ClipAfterSumSum<'a> {
    mechanism: &'a PoissonGaussian,
    sum: Vec<f32>,
}

impl Accumulate for ClipAfterSumSum<'_> {
    fn add(&mut self, gradient: &[f32], _: f64) {
        add(&mut self.sum, gradient, 1.0);
    }

    /// The noise of the honest release, which is its value for an empty batch, on a mean that was clipped as a whole.
    fn release(self: Box<Self>, step: u64) -> Released {
        let plan = &self.mechanism.plan;
        let divisor = plan.expected_batch_size() as f32;
        let mean: Vec<f32> = self.sum.iter().map(|value| value / divisor).collect();
        let mut released = self.mechanism.accumulator(mean.len()).release(step);
        add(&mut released.gradient, &mean, clipping_factor(&mean, plan.max_grad_norm()));
        released
    }
}

struct ShuffledOnce {
    honest: PoissonGaussian,
    order: Vec<usize>,
}

impl ShuffledOnce {
    fn new(honest: PoissonGaussian) -> Self {
        let mut rng = honest.seed.stream(Purpose::PoissonSampling, 0);
        let mut order: Vec<usize> = (0..honest.plan.records()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
        }
        Self { honest, order }
    }
}

impl StepMechanism for ShuffledOnce {
    fn batch(&self, step: u64) -> Vec<usize> {
        let size = self.honest.plan.expected_batch_size();
        let batches = self.order.len().div_ceil(size);
        self.order.chunks(size).nth(step as usize % batches).unwrap_or_default().to_vec()
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        self.honest.accumulator(dimension)
    }
}

struct SeedReuse(PoissonGaussian);

impl StepMechanism for SeedReuse {
    fn batch(&self, step: u64) -> Vec<usize> {
        self.0.batch(step)
    }

    fn accumulator(&self, dimension: usize) -> Box<dyn Accumulate + '_> {
        Box::new(SeedReuseSum(self.0.accumulator(dimension)))
    }
}

struct SeedReuseSum<'a>(Box<dyn Accumulate + 'a>);

impl Accumulate for SeedReuseSum<'_> {
    fn add(&mut self, gradient: &[f32], loss: f64) {
        self.0.add(gradient, loss);
    }

    fn release(self: Box<Self>, _: u64) -> Released {
        self.0.release(0)
    }
}

/// What shrinks `gradient` to `max_norm`, or 1.
fn clipping_factor(gradient: &[f32], max_norm: f64) -> f64 {
    let norm = gradient.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if norm > max_norm { max_norm / norm } else { 1.0 }
}

fn add(sum: &mut [f32], values: &[f32], factor: f64) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += (f64::from(*value) * factor) as f32);
}

#[cfg(test)]
#[path = "broken_tests.rs"]
mod tests;
