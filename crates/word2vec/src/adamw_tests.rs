//! The lazy rows against a dense AdamW in f64, which moves at every step.

use super::*;
use crate::Settings;

const W: usize = 16;
const STEPS: u32 = 4_000;

/// Short memories, so that some thousand steps show all of them.
fn settings(beta1: f64, weight_decay: f64) -> Settings {
    Settings { beta1, beta2: 0.999, learning_rate: 0.002, weight_decay, ..Settings::default() }
}

fn optimiser(beta1: f64, weight_decay: f64) -> AdamW {
    let config = Config::new(settings(beta1, weight_decay)).unwrap();
    AdamW::new(&config, STEPS)
}

/// The algorithm as published, one value, a gradient of 0 included.
struct Dense {
    value: f64,
    first: f64,
    second: f64,
}

impl Dense {
    fn step(&mut self, gradient: f64, t: u32, beta1: f64, weight_decay: f64) {
        let Settings { learning_rate, beta2, epsilon, .. } = settings(beta1, weight_decay);
        let rate = learning_rate * (1.0 - f64::from(t - 1) / f64::from(STEPS));
        self.first = beta1 * self.first + (1.0 - beta1) * gradient;
        self.second = beta2 * self.second + (1.0 - beta2) * gradient * gradient;
        let first = self.first / (1.0 - beta1.powf(f64::from(t)));
        let second = self.second / (1.0 - beta2.powf(f64::from(t)));
        self.value -= rate * (first / (second.sqrt() + epsilon) + weight_decay * self.value);
    }
}

/// A gradient at every `gap`-th step, with a sign that changes now and then.
fn gradient(t: u32, gap: u32) -> f64 {
    if !t.is_multiple_of(gap) {
        return 0.0;
    }
    let size = 0.1 + 0.05 * f64::from(t % 7);
    if (t / gap).is_multiple_of(5) { -size } else { size }
}

fn lazy(adamw: &AdamW, gap: u32) -> Row<W> {
    let mut row = Row { values: [0.3; W], first: [0.0; W], second: [0.0; W], last: adamw.step(0) };
    for t in (1..=STEPS).filter(|t| t.is_multiple_of(gap)) {
        let now = adamw.step(t);
        adamw.wake::<false, W>(&mut row, &now);
        adamw.update::<false, W>(&mut row, &[gradient(t, gap) as f32; W], &now);
    }
    adamw.wake::<false, W>(&mut row, &adamw.step(STEPS));
    row
}

fn dense(gap: u32, beta1: f64, weight_decay: f64) -> f64 {
    let mut dense = Dense { value: 0.3, first: 0.0, second: 0.0 };
    (1..=STEPS).for_each(|t| dense.step(gradient(t, gap), t, beta1, weight_decay));
    dense.value
}

#[test]
fn sleeping_rows_follow_dense_adamw() {
    for (beta1, weight_decay) in [(0.9, 0.0), (0.9, 0.05), (0.5, 0.05), (0.0, 0.05)] {
        for gap in [1, 2, 10, 100, 1000] {
            let row = lazy(&optimiser(beta1, weight_decay), gap);
            let dense = dense(gap, beta1, weight_decay);
            let moved = (dense - 0.3).abs();
            let error = (f64::from(row.values[0]) - dense).abs();
            assert!(
                error < 0.01 * moved + 1e-5,
                "β₁ {beta1} λ {weight_decay} gap {gap}: off by {error} of {moved}"
            );
            assert_eq!(row.values, [row.values[0]; W]);
        }
    }
}

/// Negative control: without the moves of the steps slept, the same comparison fails by far.
#[test]
fn rows_that_only_forget_while_they_sleep_do_not() {
    let adamw = AdamW { ratio: 0.0, ..optimiser(0.9, 0.0) };
    let moved = (dense(100, 0.9, 0.0) - 0.3).abs();
    let error = (f64::from(lazy(&adamw, 100).values[0]) - dense(100, 0.9, 0.0)).abs();
    assert!(error > 0.5 * moved, "off by {error} of {moved}");
}

#[test]
fn weight_decay_alone_is_the_product_of_all_steps() {
    let adamw = optimiser(0.9, 0.5);
    let mut row = Row::<W> { values: [1.0; W], first: [0.0; W], second: [0.0; W], last: adamw.step(0) };
    adamw.wake::<false, W>(&mut row, &adamw.step(STEPS));
    let rate = |t: u32| 0.5 * 0.002 * (1.0 - f64::from(t - 1) / f64::from(STEPS));
    let product: f64 = (1..=STEPS).map(|t| 1.0 - rate(t)).product();
    assert!((f64::from(row.values[0]) / product - 1.0).abs() < 2e-3, "{} for {product}", row.values[0]);
}

#[test]
fn waking_twice_at_one_step_or_in_the_past_changes_nothing() {
    let adamw = optimiser(0.9, 0.1);
    let mut row = lazy(&adamw, 7);
    let before = row.clone();
    for t in [STEPS, STEPS - 1, 1] {
        adamw.wake::<false, W>(&mut row, &adamw.step(t));
    }
    assert_eq!((row.values, row.first, row.second), (before.values, before.first, before.second));
    assert_eq!(row.last.number, STEPS);
}

#[test]
fn long_sleep_leaves_no_subnormal_moments() {
    let adamw = optimiser(0.9, 0.0);
    let mut row = lazy(&adamw, 1);
    let mut later = adamw.step(STEPS);
    later.number = 4_000_000;
    adamw.wake::<false, W>(&mut row, &later);
    assert_eq!((row.first, row.second), ([0.0; W], [0.0; W]));
    assert!(row.values.iter().all(|value| value.is_finite()));
}

#[test]
fn the_learning_rate_falls_linearly_and_sums_up() {
    let adamw = optimiser(0.0, 0.0);
    let total: f64 = (1..=STEPS).map(|t| 0.002 * (1.0 - f64::from(t - 1) / f64::from(STEPS))).sum();
    assert!((adamw.step(STEPS).total_rate / total - 1.0).abs() < 1e-12);
    let last = adamw.step(STEPS);
    // With β₁ = 0 and all of v's correction, the rate is η·√(1 − β₂ᵗ).
    let expected = 0.002 / f64::from(STEPS) * (1.0 - 0.999_f64.powi(STEPS as i32)).sqrt();
    assert!((f64::from(last.rate) / expected - 1.0).abs() < 1e-6);
}
