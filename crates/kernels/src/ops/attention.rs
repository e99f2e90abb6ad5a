//! The softmax of a block of causal attention, and its way back.

use super::elementary::{exp, tanh};
use super::{exponentials, largest};
use crate::isa::for_each_isa;

/// Which keys the queries of a block see, and what becomes of a score before the softmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Position of the first query of the block.
    pub first_query: usize,
    /// Position of the first key of the block.
    pub first_key: usize,
    /// A query sees itself and the `window − 1` keys before it.
    pub window: usize,
    /// Scores are multiplied by it.
    pub scale: f32,
    /// Scaled scores s become `cap · tanh(s / cap)`.
    pub cap: Option<f32>,
}

impl Span {
    /// Columns of a row that its query sees.
    #[inline(always)]
    fn visible(&self, row: usize, columns: usize) -> (usize, usize) {
        let query = self.first_query + row;
        let from = (query + 1).saturating_sub(self.window).max(self.first_key) - self.first_key;
        (from.min(columns), (query + 1 - self.first_key).min(columns))
    }
}

#[inline(always)]
fn scaled(values: &mut [f32], span: &Span) {
    match span.cap {
        None => values.iter_mut().for_each(|x| *x *= span.scale),
        Some(cap) => values.iter_mut().for_each(|x| *x = cap * tanh(*x * span.scale / cap)),
    }
}

for_each_isa! {
    /// Replaces rows of products of queries and keys by probabilities, 0 where a query does not see a key; writes each row's
    /// logarithm of the sum of exponentials to `log_sums`. Rows start `stride` values apart and have `columns` of them.
    pub fn attention_probabilities(scores: &mut [f32], columns: usize, stride: usize, span: Span, log_sums: &mut [f32]) {
        for (row, log_sum) in log_sums.iter_mut().enumerate() {
            let values = &mut scores[row * stride..][..columns];
            let (from, to) = span.visible(row, columns);
            values[..from].fill(0.0);
            values[to..].fill(0.0);
            let values = &mut values[from..to];
            scaled(values, &span);
            let shift = largest(values);
            let total = exponentials(values, shift);
            let inverse = 1.0 / total;
            values.iter_mut().for_each(|x| *x *= inverse);
            *log_sum = shift + total.ln();
        }
    }

    /// The way back through [`attention_probabilities`]: replaces `scores`, the same products again, by the probabilities P,
    /// and `gradient`, that of P, by that of the products.
    ///
    /// `levels` are the rows' `Σ P ∘ dP`, which is the inner product of the attention's output and its gradient.
    pub fn attention_scores_backward(
        scores: &mut [f32],
        gradient: &mut [f32],
        columns: usize,
        stride: usize,
        span: Span,
        log_sums: &[f32],
        levels: &[f32],
    ) {
        for (row, (log_sum, level)) in log_sums.iter().zip(levels).enumerate() {
            let p = &mut scores[row * stride..][..columns];
            let ds = &mut gradient[row * stride..][..columns];
            let (from, to) = span.visible(row, columns);
            for values in [&mut *p, &mut *ds] {
                values[..from].fill(0.0);
                values[to..].fill(0.0);
            }
            let (p, ds) = (&mut p[from..to], &mut ds[from..to]);
            scaled(p, &span);
            match span.cap {
                None => {
                    for (p, ds) in p.iter_mut().zip(ds) {
                        *p = exp(*p - log_sum);
                        *ds = *p * (*ds - level) * span.scale;
                    }
                }
                Some(cap) => {
                    for (p, ds) in p.iter_mut().zip(ds) {
                        let slope = (1.0 - *p / cap * (*p / cap)) * span.scale;
                        *p = exp(*p - log_sum);
                        *ds = *p * (*ds - level) * slope;
                    }
                }
            }
        }
    }
}
