//! The loss and its gradient, written by hand.
//!
//! The gradient of the residual stream is carried from the head to the embedding in one buffer; each block adds its
//! own part. Weight gradients are added to a flat vector laid out like the weights, so several calls accumulate a
//! larger batch.

use crate::attention;
use crate::config::ModelConfig;
use crate::forward::Workspace;
use crate::kernels;
use crate::matmul::{Matrix, MatrixMut};

/// Rows of logits held at once: 512 × 4,096 floats are 8 MB, which the last-level cache still holds.
const HEAD_ROWS: usize = 512;

/// Buffers of the backward pass.
pub(crate) struct Scratch {
    /// `[rows, hidden]`, gradient of the residual stream.
    residual: Vec<f32>,
    /// `[rows, hidden]`, gradient of a normed or attention state.
    state: Vec<f32>,
    /// `[rows, hidden + 2·kv_dim]`.
    qkv: Vec<f32>,
    /// `[rows, intermediate]`.
    activation: Vec<f32>,
    /// One query block of attention scores.
    scores: Vec<f32>,
    /// `[≤ HEAD_ROWS, vocab]`.
    logits: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new(config: &ModelConfig, rows: usize, length: usize) -> Self {
        Self {
            residual: vec![0.0; rows * config.hidden_size],
            state: vec![0.0; rows * config.hidden_size],
            qkv: vec![0.0; rows * config.qkv_dim()],
            activation: vec![0.0; rows * config.intermediate_size],
            scores: vec![0.0; attention::scratch_len(length)],
            logits: vec![0.0; rows.min(HEAD_ROWS) * config.vocab_size],
        }
    }
}

impl Workspace {
    /// Sum over the batch of `−log p(target | context)`, in nats. No gradient.
    pub(crate) fn loss(&mut self, weights: &[f32], inputs: &[u16], targets: &[u16]) -> f64 {
        self.forward(weights, inputs);
        self.head(weights, targets, None)
    }

    /// The summed loss of a batch; adds `scale ×` its gradient to `gradient`.
    pub(crate) fn loss_and_gradient(
        &mut self,
        weights: &[f32],
        gradient: &mut [f32],
        inputs: &[u16],
        targets: &[u16],
        scale: f32,
    ) -> f64 {
        self.forward(weights, inputs);
        let loss = self.head(weights, targets, Some((&mut *gradient, scale)));
        self.final_norm_backward(weights, gradient);
        for layer in (0..self.config.layers).rev() {
            self.feed_forward_backward(weights, gradient, layer);
            self.attention_backward(weights, gradient, layer);
        }
        self.embedding_backward(gradient, inputs);
        loss
    }

    /// Cross-entropy of the tied head. With a gradient wanted, leaves that of the normed states in `state`.
    fn head(&mut self, weights: &[f32], targets: &[u16], mut gradient: Option<(&mut [f32], f32)>) -> f64 {
        assert_eq!(targets.len(), self.rows(), "one target for each row");
        let (hidden, vocab) = (self.config.hidden_size, self.config.vocab_size);
        let range = self.layout.embedding.clone();
        let embedding = Matrix::new(&weights[range.clone()], vocab, hidden);
        let mut loss = 0.0;
        for (block, targets) in targets.chunks(HEAD_ROWS).enumerate() {
            let (start, rows) = (block * HEAD_ROWS * hidden, targets.len());
            let states = Matrix::new(&self.last_normed[start..], rows, hidden);
            let logits = &mut self.gradients.logits[..rows * vocab];
            MatrixMut::new(logits, rows, vocab).assign_product(
                states,
                embedding.transposed(),
                self.precision,
            );
            let scale = gradient.as_ref().map_or(0.0, |(_, scale)| *scale);
            for (row, &target) in logits.chunks_exact_mut(vocab).zip(targets) {
                loss += f64::from(kernels::cross_entropy(row, usize::from(target), scale));
            }
            if let Some((gradient, _)) = &mut gradient {
                let dlogits = Matrix::new(logits, rows, vocab);
                let dstates = &mut self.gradients.state[start..];
                MatrixMut::new(dstates, rows, hidden).assign_product(dlogits, embedding, self.precision);
                MatrixMut::new(&mut gradient[range.clone()], vocab, hidden).add_product(
                    dlogits.transposed(),
                    states,
                    self.precision,
                );
            }
        }
        loss
    }

    fn final_norm_backward(&mut self, weights: &[f32], gradient: &mut [f32]) {
        let range = self.layout.final_norm.clone();
        let grads = &mut self.gradients;
        grads.residual.fill(0.0);
        kernels::rms_norm_backward(
            &mut grads.residual,
            &mut gradient[range.clone()],
            &grads.state,
            &self.last,
            &self.last_inverse_rms,
            &weights[range],
        );
    }

    fn feed_forward_backward(&mut self, weights: &[f32], gradient: &mut [f32], layer: usize) {
        let (config, rows, ranges) = (self.config, self.rows(), &self.layout.layers[layer]);
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (acts, grads) = (&mut self.layers[layer], &mut self.gradients);
        let dresidual = Matrix::new(&grads.residual, rows, hidden);
        MatrixMut::new(&mut gradient[ranges.down.clone()], hidden, inner).add_product(
            dresidual.transposed(),
            Matrix::new(&acts.activation, rows, inner),
            self.precision,
        );
        MatrixMut::new(&mut grads.activation, rows, inner).assign_product(
            dresidual,
            Matrix::new(&weights[ranges.down.clone()], hidden, inner),
            self.precision,
        );
        kernels::swiglu_backward(&mut acts.gate_up, &grads.activation, inner);
        let dgate_up = Matrix::new(&acts.gate_up, rows, 2 * inner);
        MatrixMut::new(&mut gradient[ranges.gate_up.clone()], 2 * inner, hidden).add_product(
            dgate_up.transposed(),
            Matrix::new(&acts.middle_normed, rows, hidden),
            self.precision,
        );
        MatrixMut::new(&mut grads.state, rows, hidden).assign_product(
            dgate_up,
            Matrix::new(&weights[ranges.gate_up.clone()], 2 * inner, hidden),
            self.precision,
        );
        kernels::rms_norm_backward(
            &mut grads.residual,
            &mut gradient[ranges.post_norm.clone()],
            &grads.state,
            &acts.middle,
            &acts.middle_inverse_rms,
            &weights[ranges.post_norm.clone()],
        );
    }

    fn attention_backward(&mut self, weights: &[f32], gradient: &mut [f32], layer: usize) {
        let (config, rows, ranges) = (self.config, self.rows(), &self.layout.layers[layer]);
        let (hidden, qkv_dim) = (config.hidden_size, config.qkv_dim());
        let attention = self.attention();
        let (acts, grads) = (&mut self.layers[layer], &mut self.gradients);
        let dresidual = Matrix::new(&grads.residual, rows, hidden);
        MatrixMut::new(&mut gradient[ranges.output.clone()], hidden, hidden).add_product(
            dresidual.transposed(),
            Matrix::new(&acts.attention, rows, hidden),
            self.precision,
        );
        MatrixMut::new(&mut grads.state, rows, hidden).assign_product(
            dresidual,
            Matrix::new(&weights[ranges.output.clone()], hidden, hidden),
            self.precision,
        );
        attention.backward(&mut grads.qkv, &grads.state, &acts.probabilities, &acts.qkv, &mut grads.scores);
        self.rotary.apply(&config, &mut grads.qkv, self.length, true);
        let dqkv = Matrix::new(&grads.qkv, rows, qkv_dim);
        MatrixMut::new(&mut gradient[ranges.qkv.clone()], qkv_dim, hidden).add_product(
            dqkv.transposed(),
            Matrix::new(&acts.input_normed, rows, hidden),
            self.precision,
        );
        MatrixMut::new(&mut grads.state, rows, hidden).assign_product(
            dqkv,
            Matrix::new(&weights[ranges.qkv.clone()], qkv_dim, hidden),
            self.precision,
        );
        kernels::rms_norm_backward(
            &mut grads.residual,
            &mut gradient[ranges.input_norm.clone()],
            &grads.state,
            &acts.input,
            &acts.input_inverse_rms,
            &weights[ranges.input_norm.clone()],
        );
    }

    fn embedding_backward(&self, gradient: &mut [f32], inputs: &[u16]) {
        let width = self.config.hidden_size;
        let embedding = &mut gradient[self.layout.embedding.clone()];
        for (row, &id) in self.gradients.residual.chunks_exact(width).zip(inputs) {
            kernels::add(&mut embedding[usize::from(id) * width..][..width], row);
        }
    }
}

#[cfg(test)]
#[path = "backward_tests.rs"]
mod tests;
