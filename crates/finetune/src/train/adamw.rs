//! AdamW (Loshchilov & Hutter 2019, algorithm 2) over one flat vector.

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
/// Keeps the division finite where the second moment is zero; the value of the paper.
const EPSILON: f64 = 1e-8;

/// Trained values with the optimiser's two moments: everything that a step changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW {
    pub(crate) parameters: Vec<f32>,
    pub(crate) first_moment: Vec<f32>,
    pub(crate) second_moment: Vec<f32>,
    /// Updates made.
    pub(crate) steps: u64,
}

impl AdamW {
    pub(crate) fn new(parameters: Vec<f32>) -> Self {
        let zeros = vec![0.0; parameters.len()];
        Self { parameters, first_moment: zeros.clone(), second_moment: zeros, steps: 0 }
    }

    /// One update with bias correction; the decay acts on the parameters, not through the moments.
    pub(crate) fn update(&mut self, gradient: &[f32], learning_rate: f64, weight_decay: f64) {
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powf(self.steps as f64);
        let correction2 = 1.0 - BETA2.powf(self.steps as f64);
        let moments = self.first_moment.iter_mut().zip(&mut self.second_moment);
        for ((value, (m, v)), g) in self.parameters.iter_mut().zip(moments).zip(gradient) {
            let g = f64::from(*g);
            *m = (BETA1 * f64::from(*m) + (1.0 - BETA1) * g) as f32;
            *v = (BETA2 * f64::from(*v) + (1.0 - BETA2) * g * g) as f32;
            let direction = (f64::from(*m) / correction1) / ((f64::from(*v) / correction2).sqrt() + EPSILON);
            let old = f64::from(*value);
            *value = (old - learning_rate * (direction + weight_decay * old)) as f32;
        }
    }
}

#[cfg(test)]
#[path = "adamw_tests.rs"]
mod tests;
