//! Cross-entropy through the output head, without ever holding all logits.
//!
//! For hidden states `x [t, d]`, a frozen head `W [v, d]` and targets `y`, the loss is `Σᵢ (log Σⱼ e^{zᵢⱼ} − z_{i,yᵢ})`
//! with `z = x·Wᵀ`, and its gradient is `(softmax(z) − onehot(y))·W`. Both are computed together, a block of rows at a
//! time, so that one block of logits is alive at once.

use candle_core::{Result, Shape, Tensor};

use super::matrix::{Matrix, Write, multiply};
use super::{read, unary};

/// Values in one block of logits: 1 MiB, about the size of a core's level-2 cache.
const BLOCK_VALUES: usize = 1 << 18;
/// Fewer rows than this would leave the matrix product waiting for the head's weights.
const LEAST_BLOCK_ROWS: usize = 16;

/// `weight · Σᵢ loss of row i`, a scalar.
pub(crate) fn cross_entropy(hidden: &Tensor, head: &Tensor, targets: &[u32], weight: f32) -> Result<Tensor> {
    let with_gradient = hidden.track_op();
    let dims = (hidden.dims2()?, head.dims2()?.0);
    let (loss, gradient) =
        read(hidden, |x| read(head, |w| loss_and_gradient(x, w, dims, targets, with_gradient)))??;
    let value = (loss * f64::from(weight)) as f32;
    unary(hidden, (vec![value], Shape::from(())), move |d_loss| {
        let factor = d_loss[0] * weight;
        Ok(gradient.iter().map(|g| g * factor).collect())
    })
}

fn loss_and_gradient(
    x: &[f32],
    head: &[f32],
    ((t, d), v): ((usize, usize), usize),
    targets: &[u32],
    with_gradient: bool,
) -> (f64, Vec<f32>) {
    assert_eq!(t, targets.len(), "one target for each row");
    let block = (BLOCK_VALUES / v).max(LEAST_BLOCK_ROWS).min(t.max(1));
    let head = Matrix::new(head, v, d);
    let mut logits = vec![0.0; block * v];
    let mut gradient = vec![0.0; if with_gradient { x.len() } else { 0 }];
    let mut loss = 0.0;
    for (index, (x, targets)) in x.chunks(block * d).zip(targets.chunks(block)).enumerate() {
        let (rows, logits) = (targets.len(), &mut logits[..targets.len() * v]);
        multiply(Matrix::new(x, rows, d), head.t(), logits, v, Write::Replace);
        for (row, &target) in logits.chunks_exact_mut(v).zip(targets) {
            loss += softmax_minus_target(row, target as usize);
        }
        if with_gradient {
            let out = &mut gradient[index * block * d..][..rows * d];
            multiply(Matrix::new(logits, rows, v), head, out, d, Write::Replace);
        }
    }
    (loss, gradient)
}

/// Replaces a row of logits by its softmax minus the target's one-hot vector; returns the row's loss.
fn softmax_minus_target(row: &mut [f32], target: usize) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let target_logit = row[target];
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    let inverse = 1.0 / sum;
    for value in row.iter_mut() {
        *value *= inverse;
    }
    row[target] -= 1.0;
    f64::from(largest - target_logit) + f64::from(sum).ln()
}
