//! The loss curve that a job may show: means of noisy losses over some steps.
//!
//! Each step's loss was clipped, noised and paid for by the plan; taking means of released numbers costs nothing more, and shows a curve where
//! single steps show mostly noise.

use protocol::state::{LOSS_POINTS, LossPoint};

/// Collects one slice's losses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LossCurve {
    width: u64,
    points: Vec<LossPoint>,
    sum: f64,
    steps: u64,
}

impl LossCurve {
    /// A curve of a job of `total_steps` steps.
    pub(crate) fn new(total_steps: u64) -> Self {
        Self { width: total_steps.div_ceil(LOSS_POINTS).max(1), points: Vec::new(), sum: 0.0, steps: 0 }
    }

    /// Takes the released loss of `step`, counted from 1.
    pub(crate) fn record(&mut self, step: u64, loss: f64) {
        self.sum += loss;
        self.steps += 1;
        if step.is_multiple_of(self.width) {
            self.close(step);
        }
    }

    /// All points so far, with what is left over as the last one: a slice ends after `step`.
    pub(crate) fn end(&mut self, step: u64) -> Vec<LossPoint> {
        if self.steps > 0 {
            self.close(step);
        }
        self.points.clone()
    }

    /// All whole points so far.
    pub(crate) fn points(&self) -> Vec<LossPoint> {
        self.points.clone()
    }

    fn close(&mut self, step: u64) {
        self.points.push(LossPoint { step, steps: self.steps, loss: self.sum / self.steps as f64 });
        (self.sum, self.steps) = (0.0, 0);
    }
}

#[cfg(test)]
#[path = "losses_tests.rs"]
mod tests;
