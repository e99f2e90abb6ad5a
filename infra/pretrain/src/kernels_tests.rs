//! Each kernel against its definition in f64; the backward ones against finite differences.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn close(found: f32, expected: f64, tolerance: f64) -> bool {
    (f64::from(found) - expected).abs() <= tolerance * (1.0 + expected.abs())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// Central difference of `function` along coordinate `index`.
fn slope(values: &[f32], index: usize, function: impl Fn(&[f64]) -> f64) -> f64 {
    const STEP: f64 = 1e-5;
    let mut moved = wide(values);
    moved[index] += STEP;
    let above = function(&moved);
    moved[index] -= 2.0 * STEP;
    (above - function(&moved)) / (2.0 * STEP)
}

proptest! {
    #[test]
    fn exp_is_accurate(x in -86.0_f32..87.0) {
        let expected = f64::from(x).exp();
        prop_assert!((f64::from(exp(x)) / expected - 1.0).abs() < 5e-7);
    }

    #[test]
    fn softmax_sums_to_one_and_hides_the_future(mut row in vec(-9.0_f32..9.0, 1..70), share in 0.0..1.0) {
        let visible = 1 + (share * (row.len() - 1) as f64) as usize;
        let scores = wide(&row[..visible]);
        masked_softmax(&mut row, visible, 0.5);
        let total: f64 = scores.iter().map(|s| (0.5 * s).exp()).sum();
        for (found, score) in row.iter().zip(&scores) {
            prop_assert!(close(*found, (0.5 * score).exp() / total, 1e-6));
        }
        prop_assert!(row[visible..].iter().all(|p| *p == 0.0));
    }

    #[test]
    fn softmax_gradient_is_the_slope(row in vec(-3.0_f32..3.0, 2..40), weights in vec(-1.0_f32..1.0, 40)) {
        let objective = |scores: &[f64]| {
            let total: f64 = scores.iter().map(|s| (0.3 * s).exp()).sum();
            scores.iter().zip(&weights).map(|(s, w)| (0.3 * s).exp() / total * f64::from(*w)).sum::<f64>()
        };
        let mut probabilities = row.clone();
        masked_softmax(&mut probabilities, row.len(), 0.3);
        let mut gradient = weights[..row.len()].to_vec();
        softmax_backward(&mut gradient, &probabilities, 0.3);
        for (i, found) in gradient.iter().enumerate() {
            prop_assert!(close(*found, slope(&row, i, objective), 1e-5));
        }
    }

    #[test]
    fn cross_entropy_and_its_gradient(logits in vec(-9.0_f32..9.0, 2..60), pick in 0_usize..60) {
        let target = pick % logits.len();
        let objective =
            |logits: &[f64]| logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[target];
        let mut gradient = logits.clone();
        let loss = cross_entropy(&mut gradient, target, 2.0);
        prop_assert!(close(loss, objective(&wide(&logits)), 1e-5));
        for (i, found) in gradient.iter().enumerate() {
            prop_assert!(close(*found, 2.0 * slope(&logits, i, objective), 1e-5));
        }
    }

    #[test]
    fn rms_norm_and_its_gradient(x in vec(-2.0_f32..2.0, 21), gain in vec(0.5_f32..1.5, 21), dy in vec(-1.0_f32..1.0, 21)) {
        let norm = |x: &[f64]| (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + 1e-5).sqrt();
        let (mut y, mut inverse) = (vec![0.0; 21], vec![0.0]);
        rms_norm(&mut y, &mut inverse, &x, &gain, 1e-5);
        let exact = wide(&x);
        for i in 0..21 {
            prop_assert!(close(y[i], exact[i] / norm(&exact) * f64::from(gain[i]), 1e-5));
        }
        let (mut dx, mut dgain) = (vec![1.0; 21], vec![1.0; 21]);
        rms_norm_backward(&mut dx, &mut dgain, &dy, &x, &inverse, &gain);
        let objective = |x: &[f64]| {
            let n = norm(x);
            (0..21).map(|i| x[i] / n * f64::from(gain[i] * dy[i])).sum::<f64>()
        };
        for i in 0..21 {
            prop_assert!(close(dx[i], 1.0 + slope(&x, i, objective), 1e-4), "dx adds to what was there");
            prop_assert!(close(dgain[i], 1.0 + f64::from(dy[i]) * exact[i] / norm(&exact), 1e-4));
        }
    }

    #[test]
    fn swiglu_and_its_gradient(gate_up in vec(-6.0_f32..6.0, 10), dout in vec(-1.0_f32..1.0, 5)) {
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let mut out = vec![0.0; 5];
        swiglu(&mut out, &gate_up, 5);
        for i in 0..5 {
            let expected = silu(f64::from(gate_up[i])) * f64::from(gate_up[5 + i]);
            prop_assert!(close(out[i], expected, 1e-5));
        }
        let mut gradient = gate_up.clone();
        swiglu_backward(&mut gradient, &dout, 5);
        let objective = |v: &[f64]| (0..5).map(|i| silu(v[i]) * v[5 + i] * f64::from(dout[i])).sum::<f64>();
        for (i, found) in gradient.iter().enumerate() {
            prop_assert!(close(*found, slope(&gate_up, i, objective), 1e-4));
        }
    }

    #[test]
    fn sums_of_squares_are_exact_enough(values in vec(-1e3_f32..1e3, 0..9000)) {
        let expected: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
        prop_assert!((sum_of_squares(&values) - expected).abs() <= 1e-6 * expected);
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let mut logits = vec![1e4, -1e4, 0.0];
    assert_eq!(cross_entropy(&mut logits, 0, 1.0), 0.0);
    assert!(logits.iter().all(|g| g.abs() < 1e-30), "{logits:?}");
}

#[test]
fn add_and_scale_touch_every_element() {
    let mut values = vec![1.0; 37];
    add(&mut values, &[2.0; 37]);
    scale(&mut values, 0.5);
    assert_eq!(values, [1.5; 37]);
}
