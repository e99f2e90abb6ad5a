use proptest::prelude::*;

use super::*;

const PLAIN: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, max_grad_norm: f64::INFINITY };

/// Algorithm 2 for one weight, in f64.
fn reference(gradients: &[f64], start: f64, rate: f64, decay: f64) -> f64 {
    let (mut w, mut m, mut v) = (start, 0.0, 0.0);
    for (t, g) in gradients.iter().enumerate() {
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        let corrected = (m / (1.0 - 0.9_f64.powi(t as i32 + 1)), v / (1.0 - 0.95_f64.powi(t as i32 + 1)));
        w -= rate * decay * w + rate * corrected.0 / (corrected.1.sqrt() + 1e-8);
    }
    w
}

proptest! {
    #[test]
    fn steps_follow_the_algorithm(gradients in prop::collection::vec(-1.0_f64..1.0, 1..30), start in -2.0_f64..2.0) {
        let mut optimizer = AdamW::new(2);
        let mut weights = vec![start as f32; 2];
        for g in &gradients {
            optimizer.step(&PLAIN, &mut weights, &[*g as f32; 2], 0.01, std::slice::from_ref(&(0..1)));
        }
        let (decayed, kept) = (reference(&gradients, start, 0.01, 0.1), reference(&gradients, start, 0.01, 0.0));
        prop_assert!((f64::from(weights[0]) - decayed).abs() < 1e-4, "decayed weight");
        prop_assert!((f64::from(weights[1]) - kept).abs() < 1e-4, "weight without decay");
    }

    #[test]
    fn rate_never_exceeds_its_peak_nor_goes_below_zero(step: u64, progress in -1.0_f64..2.0) {
        let rate = learning_rate(3e-3, step.min(u64::MAX - 1), 200, progress);
        prop_assert!((0.0..=3e-3).contains(&rate));
    }
}

#[test]
fn long_gradients_are_clipped_and_reported_unclipped() {
    let config = AdamWConfig { max_grad_norm: 1.0, ..PLAIN };
    let (mut clipped, mut short) = (AdamW::new(2), AdamW::new(2));
    let norm = clipped.step(&config, &mut [0.0, 0.0], &[30.0, 40.0], 0.01, &[]);
    assert_eq!(norm, 50.0);
    short.step(&config, &mut [0.0, 0.0], &[0.6, 0.8], 0.01, &[]);
    for (a, b) in clipped.first.iter().zip(&short.first) {
        assert!((a - b).abs() < 1e-7, "clipping keeps the direction: {a} against {b}");
    }
}

#[test]
fn rate_warms_up_then_decays_to_zero() {
    assert_eq!(learning_rate(1.0, 0, 10, 0.0), 0.1);
    assert_eq!(learning_rate(1.0, 9, 10, 0.0), 1.0);
    assert_eq!(learning_rate(1.0, 500, 10, 0.75), 0.25);
    assert_eq!(learning_rate(1.0, 500, 10, 1.0), 0.0);
}
