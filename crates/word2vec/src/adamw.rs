//! Sparse AdamW whose sleeping rows follow the dense algorithm in closed form.
//!
//! Dense AdamW (Loshchilov & Hutter 2019, Algorithm 2) moves every row at every step; a step of skip-gram has gradients for a
//! thousandth of them. A row that had its last gradient at step a and is read at step b slept for k = b − a − 1 steps with
//! gradient 0, and in these dense AdamW would have done
//!
//! - m ← β₁ᵏ m, v ← β₂ᵏ v;
//! - weight decay by Π (1 − η_s λ), here exp(−λ Σ η_s), the same but for terms of (η λ)²;
//! - moves along m/√v that fade by r = β₁/√β₂ a step, together η (r + … + rᵏ) m̂/(√v̂ + ε).
//!
//! [`wake`] does this when a row is next touched. It takes the bias correction and η of step a for all k moves, and lets ε
//! fade with √v̂, and decays the weight after the moves: since the moves fade within tens of steps and runs have 10⁵, this is
//! the dense course to first order, which the tests measure.

use crate::Config;
use crate::lanes::{exp, multiply_add};

/// The numbers of one step that all rows share. Steps count from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// From 1; 0 stands for the start values.
    pub(crate) number: u32,
    /// η times the bias corrections √(1 − β₂ᵗ)/(1 − β₁ᵗ).
    rate: f32,
    /// ε scaled by √(1 − β₂ᵗ), as v is not.
    epsilon: f32,
    /// Σ η_s over the steps up to and with this one.
    total_rate: f64,
}

/// One row of a matrix with its moments, `W` values each; those beyond the dimension stay 0.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Row<const W: usize> {
    pub(crate) values: [f32; W],
    pub(crate) first: [f32; W],
    pub(crate) second: [f32; W],
    /// The step up to which the row has been brought.
    pub(crate) last: Step,
}

/// The settings of the optimiser and the run's length.
#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    beta1: f64,
    beta2: f64,
    ln_beta1: f32,
    ln_beta2: f32,
    /// r = β₁/√β₂, by which the moves of a sleeping row fade.
    ratio: f32,
    ln_ratio: f32,
    weight_decay: f64,
    epsilon: f64,
    learning_rate: f64,
    steps: f64,
}

impl AdamW {
    pub(crate) fn new(config: &Config, steps: u32) -> Self {
        // β₁ = 0 forgets at once: e^−87 is as good as 0.
        let (ln_beta1, ln_beta2) = (libm::log(config.beta1).max(-87.0), libm::log(config.beta2));
        let ln_ratio = ln_beta1 - 0.5 * ln_beta2;
        Self {
            beta1: config.beta1,
            beta2: config.beta2,
            ln_beta1: ln_beta1 as f32,
            ln_beta2: ln_beta2 as f32,
            ratio: libm::exp(ln_ratio) as f32,
            ln_ratio: ln_ratio as f32,
            weight_decay: config.weight_decay,
            epsilon: config.epsilon,
            learning_rate: config.learning_rate,
            steps: f64::from(steps),
        }
    }

    /// Step `number` of the run; its learning rate falls linearly from the full one to 1/steps of it.
    pub(crate) fn step(&self, number: u32) -> Step {
        if number == 0 {
            return Step { number, rate: 0.0, epsilon: self.epsilon as f32, total_rate: 0.0 };
        }
        let t = f64::from(number);
        let rate = self.learning_rate * (1.0 - (t - 1.0) / self.steps);
        let correction1 = 1.0 - libm::pow(self.beta1, t);
        let correction2 = (1.0 - libm::pow(self.beta2, t)).sqrt();
        Step {
            number,
            rate: (rate * correction2 / correction1) as f32,
            epsilon: (self.epsilon * correction2) as f32,
            total_rate: self.learning_rate * t * (1.0 - (t - 1.0) / (2.0 * self.steps)),
        }
    }

    /// Brings a row up to `now`: the moves of the steps it slept, and the decay up to and with `now`.
    #[inline(always)]
    pub(crate) fn wake<const FMA: bool, const W: usize>(&self, row: &mut Row<W>, now: &Step) {
        // Another thread may have brought the row to a later step.
        let Some(gap @ 1..) = now.number.checked_sub(row.last.number) else { return };
        let gap = gap as f32;
        let rates = (self.weight_decay * (row.last.total_rate - now.total_rate)) as f32;
        let exponents = [(gap - 1.0) * self.ln_ratio, rates, gap * self.ln_beta1, gap * self.ln_beta2];
        let [faded, keep, decay1, decay2] = exp::<FMA, 4>(exponents);
        let series = self.ratio * (1.0 - faded) / (1.0 - self.ratio);
        self.go::<FMA, W>(row, row.last.rate * series, row.last.epsilon, keep);
        // What is left of a moment after so long is nothing, and subnormal numbers would be slow.
        let (decay1, decay2) = (flush(decay1), flush(decay2));
        for lane in 0..W {
            row.first[lane] *= decay1;
            row.second[lane] *= decay2;
        }
        row.last = *now;
    }

    /// values ← keep · (values − rate · m/(√v + ε)).
    #[inline(always)]
    fn go<const FMA: bool, const W: usize>(&self, row: &mut Row<W>, rate: f32, epsilon: f32, keep: f32) {
        for lane in 0..W {
            let step = row.first[lane] / (row.second[lane].sqrt() + epsilon);
            row.values[lane] = keep * multiply_add::<FMA>(-rate, step, row.values[lane]);
        }
    }

    /// One step of a row that [`wake`](Self::wake) has brought to it, against `gradient`.
    #[inline(always)]
    pub(crate) fn update<const FMA: bool, const W: usize>(
        &self,
        row: &mut Row<W>,
        gradient: &[f32; W],
        now: &Step,
    ) {
        let (share1, share2) = ((1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        for ((first, second), &g) in row.first.iter_mut().zip(&mut row.second).zip(gradient) {
            *first = multiply_add::<FMA>(share1, g, *first);
            *second = multiply_add::<FMA>(share2, g * g, *second);
        }
        self.go::<FMA, W>(row, now.rate, now.epsilon, 1.0);
    }
}

fn flush(decay: f32) -> f32 {
    if decay < 1e-18 { 0.0 } else { decay }
}

#[cfg(test)]
#[path = "adamw_tests.rs"]
mod tests;
