use super::*;
use crate::fixtures::channel::{channel, correction, matrix, mechanism, probabilities, received_loss};
use crate::fixtures::random;
use proptest::prelude::*;

const VOCABULARY: usize = 24;

fn wide(logits: &[f32]) -> Vec<f64> {
    logits.iter().map(|&z| f64::from(z)).collect()
}

/// Loss and gradient of the operation under test.
fn replaced(logits: &[f32], target: u32, row_loss: &impl RowLoss) -> (f64, Vec<f32>) {
    let mut row = logits.to_vec();
    let loss = row_loss.replace(&mut row, target);
    (loss, row)
}

/// Central differences of the loss through the whole matrix.
fn differences(logits: &[f32], matrix: &[Vec<f64>], target: u32) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let at = |index: usize, shift: f64| {
        let mut moved = wide(logits);
        moved[index] += shift;
        received_loss(&moved, matrix, target)
    };
    (0..logits.len()).map(|index| (at(index, STEP) - at(index, -STEP)) / (2.0 * STEP)).collect()
}

fn logits(scale: f32) -> impl Strategy<Value = Vec<f32>> {
    any::<u64>().prop_map(move |seed| random(seed, VOCABULARY, scale))
}

proptest! {
    #[test]
    fn loss_and_gradient_are_those_of_the_whole_matrix(
        logits in logits(6.0), target in 0..VOCABULARY as u32, epsilon in 0.05..30.0f64, m in 1u32..4
    ) {
        let whole = matrix(VOCABULARY, &channel(VOCABULARY, mechanism(epsilon, m)));
        let (loss, gradient) = replaced(&logits, target, &correction(VOCABULARY, epsilon, m));
        let expected = received_loss(&wide(&logits), &whole, target);
        prop_assert!((loss - expected).abs() < 1e-6 * (1.0 + expected), "{loss} {expected}");
        for (found, expected) in gradient.iter().zip(differences(&logits, &whole, target)) {
            prop_assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} {expected}");
        }
    }

    #[test]
    fn the_posterior_is_bayes_rule(
        logits in logits(6.0), received in 0..VOCABULARY as u32, epsilon in 0.05..30.0f64, m in 1u32..4
    ) {
        let whole = matrix(VOCABULARY, &channel(VOCABULARY, mechanism(epsilon, m)));
        let correction = correction(VOCABULARY, epsilon, m);
        let inside = |id: usize| correction.plausible(id as u32).is_some();
        let (p, share) = (probabilities(&wide(&logits)), MODEL_SHARE);
        let sum: f64 = (0..VOCABULARY).filter(|&id| inside(id)).map(|id| p[id]).sum();
        let count = (0..VOCABULARY).filter(|&id| inside(id)).count() as f64;
        // An id outside is known exactly, whatever the prior.
        let prior = |id: usize| if inside(id) { share * p[id] / sum + (1.0 - share) / count } else { 1.0 };
        let p: Vec<f64> = (0..VOCABULARY).map(prior).collect();
        let joint: Vec<f64> = p.iter().zip(&whole).map(|(p, row)| p * row[received as usize]).collect();
        let sum: f64 = joint.iter().sum();
        let mut found = logits.clone();
        posterior(&mut found, received, &correction);
        for (found, joint) in found.iter().zip(&joint) {
            prop_assert!((f64::from(*found) - joint / sum).abs() < 1e-6, "{found} {}", joint / sum);
        }
    }

    #[test]
    fn a_loss_lies_between_zero_and_the_channels_bound(
        logits in logits(3.0), target in 0..VOCABULARY as u32, epsilon in 0.05..30.0f64, m in 1u32..4
    ) {
        let correction = correction(VOCABULARY, epsilon, m);
        prop_assume!(correction.plausible(target).is_some());
        let p = probabilities(&wide(&logits));
        let inside: f64 = 1.0 - correction.outside().iter().map(|&id| p[id as usize]).sum::<f64>();
        let bound = (correction.total_weight() / correction.weights().1).ln() - inside.ln();
        let (loss, _) = replaced(&logits, target, &correction);
        prop_assert!((0.0..=bound + 1e-6).contains(&loss), "{loss} {bound}");
    }
}

/// The mean over what can be received, P(y) = Σ_x p(x)·P(y | x), of the gradient at the logits of p.
fn mean_gradient(logits: &[f32], m: u32, row_loss: &impl RowLoss) -> f64 {
    let whole = matrix(VOCABULARY, &channel(VOCABULARY, mechanism(2.0, m)));
    let mut sum = [0.0; VOCABULARY];
    for y in 0..VOCABULARY as u32 {
        let probability = (-received_loss(&wide(logits), &whole, y)).exp();
        let (_, gradient) = replaced(logits, y, row_loss);
        sum.iter_mut().zip(&gradient).for_each(|(s, g)| *s += probability * f64::from(*g));
    }
    sum.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// What makes the correction right: at the distribution of what was sent it pulls nowhere. The plain loss does.
#[test]
fn the_truth_is_a_fixed_point_of_the_corrected_loss_and_not_of_the_plain_one() {
    let logits = random(5, VOCABULARY, 3.0);
    for m in 1..4 {
        let corrected = mean_gradient(&logits, m, &correction(VOCABULARY, 2.0, m));
        let plain = mean_gradient(&logits, m, &CrossEntropy);
        assert!(corrected < 1e-6, "m = {m}: {corrected}");
        assert!(plain > 0.05, "m = {m}: the control found nothing, {plain}");
    }
}

#[test]
fn a_channel_that_changes_nothing_leaves_plain_cross_entropy() {
    let silent = correction(VOCABULARY, 33.0, 1);
    for seed in 0..20 {
        let logits = random(seed, VOCABULARY, 5.0);
        for target in 0..VOCABULARY as u32 {
            let ((a, da), (b, db)) =
                (replaced(&logits, target, &silent), replaced(&logits, target, &CrossEntropy));
            assert!((a - b).abs() < 1e-6 * (1.0 + b), "{a} {b}");
            assert!(da.iter().zip(&db).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}

#[test]
fn what_does_not_pass_the_channel_has_its_plain_loss_bit_for_bit() {
    let correction = correction(VOCABULARY, 1.0, 3);
    let logits = random(8, VOCABULARY, 5.0);
    for &id in correction.outside() {
        assert_eq!(replaced(&logits, id, &correction), replaced(&logits, id, &CrossEntropy));
    }
}

#[test]
fn extreme_logits_stay_finite() {
    for (epsilon, m) in [(0.1, 1), (0.1, 3), (33.0, 1), (32.0, 3)] {
        let correction = correction(VOCABULARY, epsilon, m);
        // All weight on one id inside, on one outside, and everywhere the same.
        for (hot, height) in [(1, 1e4f32), (0, 1e4), (3, 300.0), (5, -1e4), (0, -1e4)] {
            let mut logits = vec![0.0; VOCABULARY];
            logits[hot] = height;
            for target in 0..VOCABULARY as u32 {
                let (loss, gradient) = replaced(&logits, target, &correction);
                assert!(loss.is_finite() && loss >= 0.0, "{epsilon} {m} {hot} {height} {target}: {loss}");
                assert!(gradient.iter().all(|g| g.is_finite() && g.abs() <= 1.0 + 1e-6), "{gradient:?}");
            }
        }
    }
}

/// The loss of a target far from all that is likely is the channel's: the noise explains it, and nothing pulls.
#[test]
fn an_unlikely_target_is_taken_for_noise() {
    let correction = correction(VOCABULARY, 8.0, 1);
    let mut logits = vec![0.0; VOCABULARY];
    logits[1] = 60.0;
    let (loss, gradient) = replaced(&logits, 2, &correction);
    let bound = (correction.total_weight() / correction.weights().1).ln();
    assert!((loss - bound).abs() < 1e-6, "{loss} {bound}");
    assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    let (_, plain) = replaced(&logits, 2, &CrossEntropy);
    assert!(plain[2] < -0.99, "the plain loss pulls with all its might: {}", plain[2]);
}
