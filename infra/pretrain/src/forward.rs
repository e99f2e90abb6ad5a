//! The forward pass: token ids to the last hidden states, keeping what the backward pass needs.
//!
//! `x₀ = E[id]`, then per layer `m = x + O·attention(norm(x))`, `x' = m + D·(silu(G·norm(m)) ∘ U·norm(m))`, and a
//! final norm. Rows are the batch's tokens, `sequences · length` of them; there is no padding.

use crate::attention::{Attention, Rotary};
use crate::config::{Layout, ModelConfig};
use crate::kernels;
use crate::matmul::{Matrix, MatrixMut, Precision};

/// Activations of one decoder layer; `rows` counts the batch's tokens.
pub(crate) struct LayerActivations {
    /// `[rows, hidden]`, the layer's input.
    pub(crate) input: Vec<f32>,
    /// `[rows]`.
    pub(crate) input_inverse_rms: Vec<f32>,
    /// `[rows, hidden]`.
    pub(crate) input_normed: Vec<f32>,
    /// `[rows, hidden + 2·kv_dim]`, after the rotary embedding.
    pub(crate) qkv: Vec<f32>,
    /// `[sequences·heads, length, length]`.
    pub(crate) probabilities: Vec<f32>,
    /// `[rows, hidden]`.
    pub(crate) attention: Vec<f32>,
    /// `[rows, hidden]`, the residual stream after attention.
    pub(crate) middle: Vec<f32>,
    /// `[rows]`.
    pub(crate) middle_inverse_rms: Vec<f32>,
    /// `[rows, hidden]`.
    pub(crate) middle_normed: Vec<f32>,
    /// `[rows, 2·intermediate]`; the backward pass overwrites it with its gradient.
    pub(crate) gate_up: Vec<f32>,
    /// `[rows, intermediate]`.
    pub(crate) activation: Vec<f32>,
}

impl LayerActivations {
    fn new(config: &ModelConfig, sequences: usize, length: usize) -> Self {
        let rows = sequences * length;
        let zeros = |width: usize| vec![0.0; rows * width];
        Self {
            input: zeros(config.hidden_size),
            input_inverse_rms: zeros(1),
            input_normed: zeros(config.hidden_size),
            qkv: zeros(config.qkv_dim()),
            probabilities: zeros(config.heads * length),
            attention: zeros(config.hidden_size),
            middle: zeros(config.hidden_size),
            middle_inverse_rms: zeros(1),
            middle_normed: zeros(config.hidden_size),
            gate_up: zeros(2 * config.intermediate_size),
            activation: zeros(config.intermediate_size),
        }
    }
}

/// One worker's memory for batches of a fixed shape, allocated once.
pub(crate) struct Workspace {
    pub(crate) config: ModelConfig,
    pub(crate) layout: Layout,
    pub(crate) sequences: usize,
    pub(crate) length: usize,
    pub(crate) precision: Precision,
    pub(crate) rotary: Rotary,
    pub(crate) layers: Vec<LayerActivations>,
    /// `[rows, hidden]`, the residual stream after the last layer.
    pub(crate) last: Vec<f32>,
    pub(crate) last_inverse_rms: Vec<f32>,
    /// `[rows, hidden]`, what the head reads.
    pub(crate) last_normed: Vec<f32>,
    pub(crate) gradients: crate::backward::Scratch,
}

impl Workspace {
    /// Memory for batches of `sequences` sequences of `length` tokens.
    pub(crate) fn new(config: &ModelConfig, sequences: usize, length: usize, precision: Precision) -> Self {
        let rows = sequences * length;
        Self {
            config: *config,
            precision,
            layout: Layout::new(config),
            sequences,
            length,
            rotary: Rotary::new(config, length),
            layers: (0..config.layers).map(|_| LayerActivations::new(config, sequences, length)).collect(),
            last: vec![0.0; rows * config.hidden_size],
            last_inverse_rms: vec![0.0; rows],
            last_normed: vec![0.0; rows * config.hidden_size],
            gradients: crate::backward::Scratch::new(config, rows, length),
        }
    }

    /// Tokens in a batch.
    pub(crate) fn rows(&self) -> usize {
        self.sequences * self.length
    }

    /// The attention of every layer.
    pub(crate) fn attention(&self) -> Attention {
        Attention { config: self.config, length: self.length, precision: self.precision }
    }

    /// Computes the normed hidden states of `inputs` (`rows` token ids, sequence after sequence).
    pub(crate) fn forward(&mut self, weights: &[f32], inputs: &[u16]) {
        assert_eq!(inputs.len(), self.rows(), "a batch fills the workspace");
        let width = self.config.hidden_size;
        let embedding = &weights[self.layout.embedding.clone()];
        for (row, &id) in self.last.chunks_exact_mut(width).zip(inputs) {
            row.copy_from_slice(&embedding[usize::from(id) * width..][..width]);
        }
        for layer in 0..self.config.layers {
            self.attention_block(weights, layer);
            self.feed_forward_block(weights, layer);
        }
        let gain = &weights[self.layout.final_norm.clone()];
        let eps = self.config.rms_norm_eps;
        kernels::rms_norm(&mut self.last_normed, &mut self.last_inverse_rms, &self.last, gain, eps);
    }

    /// `middle = input + O·attention(norm(input))`; the input comes from `last`.
    fn attention_block(&mut self, weights: &[f32], layer: usize) {
        let (config, rows, ranges) = (self.config, self.rows(), &self.layout.layers[layer]);
        let (hidden, qkv_dim) = (config.hidden_size, config.qkv_dim());
        let attention = self.attention();
        let acts = &mut self.layers[layer];
        acts.input.copy_from_slice(&self.last);
        let gain = &weights[ranges.input_norm.clone()];
        kernels::rms_norm(
            &mut acts.input_normed,
            &mut acts.input_inverse_rms,
            &acts.input,
            gain,
            config.rms_norm_eps,
        );
        let projection = Matrix::new(&weights[ranges.qkv.clone()], qkv_dim, hidden);
        MatrixMut::new(&mut acts.qkv, rows, qkv_dim).assign_product(
            Matrix::new(&acts.input_normed, rows, hidden),
            projection.transposed(),
            self.precision,
        );
        self.rotary.apply(&config, &mut acts.qkv, self.length, false);
        attention.forward(&mut acts.attention, &mut acts.probabilities, &acts.qkv);
        acts.middle.copy_from_slice(&acts.input);
        let output = Matrix::new(&weights[ranges.output.clone()], hidden, hidden);
        MatrixMut::new(&mut acts.middle, rows, hidden).add_product(
            Matrix::new(&acts.attention, rows, hidden),
            output.transposed(),
            self.precision,
        );
    }

    /// `last = middle + D·swiglu(norm(middle))`.
    fn feed_forward_block(&mut self, weights: &[f32], layer: usize) {
        let (config, rows, ranges) = (self.config, self.rows(), &self.layout.layers[layer]);
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let acts = &mut self.layers[layer];
        let gain = &weights[ranges.post_norm.clone()];
        kernels::rms_norm(
            &mut acts.middle_normed,
            &mut acts.middle_inverse_rms,
            &acts.middle,
            gain,
            config.rms_norm_eps,
        );
        let gate_up = Matrix::new(&weights[ranges.gate_up.clone()], 2 * inner, hidden);
        MatrixMut::new(&mut acts.gate_up, rows, 2 * inner).assign_product(
            Matrix::new(&acts.middle_normed, rows, hidden),
            gate_up.transposed(),
            self.precision,
        );
        kernels::swiglu(&mut acts.activation, &acts.gate_up, inner);
        self.last.copy_from_slice(&acts.middle);
        let down = Matrix::new(&weights[ranges.down.clone()], hidden, inner);
        MatrixMut::new(&mut self.last, rows, hidden).add_product(
            Matrix::new(&acts.activation, rows, inner),
            down.transposed(),
            self.precision,
        );
    }

    /// Logits `[vocab]` of one row of the last [`Self::forward`].
    pub(crate) fn logits(&self, weights: &[f32], row: usize) -> Vec<f32> {
        let (hidden, vocab) = (self.config.hidden_size, self.config.vocab_size);
        let head = Matrix::new(&weights[self.layout.embedding.clone()], vocab, hidden);
        let state = Matrix::new(&self.last_normed[row * hidden..][..hidden], 1, hidden);
        let mut logits = vec![0.0; vocab];
        MatrixMut::new(&mut logits, 1, vocab).assign_product(state, head.transposed(), Precision::Single);
        logits
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
