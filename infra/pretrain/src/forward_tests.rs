//! What the comparison with an independent model in `backward_tests.rs` does not cover.

use super::*;
use crate::config::initialise;

const CONFIG: ModelConfig = ModelConfig { vocab_size: 50, layers: 2, ..ModelConfig::DEMO };

fn weights() -> Vec<f32> {
    initialise(&CONFIG, &Layout::new(&CONFIG), 9)
}

#[test]
fn logits_give_the_loss() {
    let weights = weights();
    let (inputs, targets) = ([3, 1, 4, 1, 5], [1, 4, 1, 5, 9]);
    let mut workspace = Workspace::new(&CONFIG, 1, 5, Precision::Single);
    let loss = workspace.loss(&weights, &inputs, &targets);
    let token_loss = |(row, target): (usize, &u16)| {
        let logits = workspace.logits(&weights, row);
        logits.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln() - f64::from(logits[usize::from(*target)])
    };
    let expected: f64 = targets.iter().enumerate().map(token_loss).sum();
    assert!((loss - expected).abs() < 1e-4, "{loss} against {expected}");
}

#[test]
fn a_workspace_forgets_the_batch_before() {
    let weights = weights();
    let mut used = Workspace::new(&CONFIG, 1, 4, Precision::fastest());
    used.loss(&weights, &[9, 9, 9, 9], &[1, 1, 1, 1]);
    let again = used.loss(&weights, &[1, 2, 3, 4], &[2, 3, 4, 5]);
    let fresh =
        Workspace::new(&CONFIG, 1, 4, Precision::fastest()).loss(&weights, &[1, 2, 3, 4], &[2, 3, 4, 5]);
    assert_eq!(again, fresh);
}

#[test]
#[should_panic(expected = "a batch fills the workspace")]
fn a_short_batch_is_refused() {
    Workspace::new(&CONFIG, 2, 4, Precision::Single).forward(&weights(), &[1, 2, 3, 4]);
}
