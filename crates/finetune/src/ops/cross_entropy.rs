//! A loss through the output head, without ever holding all logits.
//!
//! For hidden states `x [t, d]` and a frozen head `W [v, d]`, the loss is `Σᵢ ℓ(zᵢ, yᵢ)` with `z = x·Wᵀ`, and its gradient
//! is `(∂ℓ/∂z)·W`. Both are computed together, a block of rows at a time, so that one block of logits is alive at once.
//! A row's loss is any [`RowLoss`]; [`CrossEntropy`] is the usual one, [`super::forward_corrected`] has the one for targets
//! that passed a channel.

use candle_core::{Result, Shape, Tensor};

use super::matrix::{Matrix, Write, multiply};
use super::{read, unary};

/// Values in one block of logits: 1 MiB, about the size of a core's level-2 cache.
const BLOCK_VALUES: usize = 1 << 18;
/// Fewer rows than this would leave the matrix product waiting for the head's weights.
const LEAST_BLOCK_ROWS: usize = 16;

/// The loss of one row of logits.
pub(crate) trait RowLoss {
    /// Replaces the logits by the gradient of their loss, and returns the loss in nats.
    fn replace(&self, row: &mut [f32], target: u32) -> f64;
}

/// `log Σⱼ e^{zⱼ} − z_y`, with the gradient `softmax(z) − onehot(y)`.
pub(crate) struct CrossEntropy;

impl RowLoss for CrossEntropy {
    fn replace(&self, row: &mut [f32], target: u32) -> f64 {
        let target = target as usize;
        let target_logit = row[target];
        let log_sum = softmax(row);
        row[target] -= 1.0;
        log_sum - f64::from(target_logit)
    }
}

/// `weight · Σᵢ loss of row i`, a scalar.
pub(crate) fn head_loss(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    weight: f32,
    row_loss: &impl RowLoss,
) -> Result<Tensor> {
    let with_gradient = hidden.track_op();
    let (t, d) = hidden.dims2()?;
    assert_eq!(t, targets.len(), "one target for each row");
    let mut loss = 0.0;
    let mut replace = |row: &mut [f32], index: usize| loss += row_loss.replace(row, targets[index]);
    let gradient = map_logits(hidden, head, with_gradient.then_some((head, d)), &mut replace)?;
    let value = (loss * f64::from(weight)) as f32;
    unary(hidden, (vec![value], Shape::from(())), move |d_loss| {
        let factor = d_loss[0] * weight;
        Ok(gradient.iter().map(|g| g * factor).collect())
    })
}

/// Hands every row of `hidden·headᵀ` to `replace`, with its index, and returns what became of them times `output`, a
/// matrix of as many rows as `head` and the given number of columns; nothing without one.
pub(crate) fn map_logits(
    hidden: &Tensor,
    head: &Tensor,
    output: Option<(&Tensor, usize)>,
    replace: &mut dyn FnMut(&mut [f32], usize),
) -> Result<Vec<f32>> {
    let (v, d) = head.dims2()?;
    read(hidden, |x| {
        read(head, |w| match output {
            Some((matrix, columns)) => {
                read(matrix, |m| blocks(x, Matrix::new(w, v, d), Some((m, columns)), replace))
            }
            None => Ok(blocks(x, Matrix::new(w, v, d), None, replace)),
        })
    })??
}

fn blocks(
    x: &[f32],
    head: Matrix<'_>,
    output: Option<(&[f32], usize)>,
    replace: &mut dyn FnMut(&mut [f32], usize),
) -> Vec<f32> {
    let (v, d) = head.shape();
    let t = x.len() / d;
    let block = (BLOCK_VALUES / v).max(LEAST_BLOCK_ROWS).min(t.max(1));
    let (mut logits, mut out) =
        (vec![0.0; block * v], vec![0.0; t * output.map_or(0, |(_, columns)| columns)]);
    for (index, x) in x.chunks(block * d).enumerate() {
        let (first, rows) = (index * block, x.len() / d);
        let logits = &mut logits[..rows * v];
        multiply(Matrix::new(x, rows, d), head.t(), logits, v, Write::Replace);
        for (offset, row) in logits.chunks_exact_mut(v).enumerate() {
            replace(row, first + offset);
        }
        if let Some((matrix, columns)) = output {
            let out = &mut out[first * columns..][..rows * columns];
            multiply(
                Matrix::new(logits, rows, v),
                Matrix::new(matrix, v, columns),
                out,
                columns,
                Write::Replace,
            );
        }
    }
    out
}

/// Replaces a row by its softmax; returns the logarithm of the sum of its exponentials.
pub(crate) fn softmax(row: &mut [f32]) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    let inverse = 1.0 / sum;
    for value in row.iter_mut() {
        *value *= inverse;
    }
    f64::from(largest) + f64::from(sum).ln()
}
