//! The shape of the demo model and where each weight lies in the flat parameter vector.
//!
//! All weights live in one `Vec<f32>`, so that the optimizer, the gradient reduction and the checkpoint are loops
//! over one slice. [`ModelConfig`] gives the sizes, [`Layout`] the range of every matrix. Matrices are row-major
//! `[out_features, in_features]`, as in Hugging Face's `LlamaForCausalLM`; the query, key and value projections are
//! stacked into one matrix, and so are gate and up, because one large product is faster than several small ones.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sizes of a Llama-architecture decoder with tied embeddings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ModelConfig {
    /// Number of tokens in the vocabulary.
    pub(crate) vocab_size: usize,
    /// Width of the residual stream.
    pub(crate) hidden_size: usize,
    /// Number of decoder layers.
    pub(crate) layers: usize,
    /// Number of query heads.
    pub(crate) heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub(crate) kv_heads: usize,
    /// Width of the feed-forward network.
    pub(crate) intermediate_size: usize,
    /// Base of the rotary embedding's frequencies.
    pub(crate) rope_theta: f32,
    /// Added to the mean square before its root.
    pub(crate) rms_norm_eps: f32,
    /// Longest sequence the model announces.
    pub(crate) max_position_embeddings: usize,
}

impl ModelConfig {
    /// The shipped model: 3.95 M parameters, so that the bf16 file stays under 8 MB.
    pub(crate) const DEMO: Self = Self {
        vocab_size: 4096,
        hidden_size: 256,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        intermediate_size: 688,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        max_position_embeddings: 512,
    };

    /// Width of one attention head.
    pub(crate) fn head_dim(&self) -> usize {
        self.hidden_size / self.heads
    }

    /// Width of the stacked key (or value) heads.
    pub(crate) fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim()
    }

    /// Width of the stacked query, key and value rows.
    pub(crate) fn qkv_dim(&self) -> usize {
        self.hidden_size + 2 * self.kv_dim()
    }
}

/// Ranges of one decoder layer's weights.
#[derive(Clone, Debug)]
pub(crate) struct LayerLayout {
    /// `[hidden]`, the norm before attention.
    pub(crate) input_norm: Range<usize>,
    /// `[hidden + 2·kv_dim, hidden]`: query, key, value stacked.
    pub(crate) qkv: Range<usize>,
    /// `[hidden, hidden]`, the attention's output projection.
    pub(crate) output: Range<usize>,
    /// `[hidden]`, the norm before the feed-forward network.
    pub(crate) post_norm: Range<usize>,
    /// `[2·intermediate, hidden]`: gate, up stacked.
    pub(crate) gate_up: Range<usize>,
    /// `[hidden, intermediate]`.
    pub(crate) down: Range<usize>,
}

/// Ranges of all weights in the flat vector.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// `[vocab, hidden]`, input embedding and output head at once.
    pub(crate) embedding: Range<usize>,
    /// The decoder layers, first to last.
    pub(crate) layers: Vec<LayerLayout>,
    /// `[hidden]`, the norm before the head.
    pub(crate) final_norm: Range<usize>,
    /// Length of the flat vector.
    pub(crate) total: usize,
}

impl Layout {
    /// Lays the weights out one after the other.
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let hidden = config.hidden_size;
        let mut total = 0;
        let mut take = |length: usize| {
            let start = total;
            total += length;
            start..total
        };
        let embedding = take(config.vocab_size * hidden);
        let layers = (0..config.layers)
            .map(|_| LayerLayout {
                input_norm: take(hidden),
                qkv: take(config.qkv_dim() * hidden),
                output: take(hidden * hidden),
                post_norm: take(hidden),
                gate_up: take(2 * config.intermediate_size * hidden),
                down: take(hidden * config.intermediate_size),
            })
            .collect();
        let final_norm = take(hidden);
        Self { embedding, layers, final_norm, total }
    }

    /// The ranges of matrices, which weight decay shrinks.
    pub(crate) fn matrices(&self) -> Vec<Range<usize>> {
        let layers =
            self.layers.iter().flat_map(|l| [&l.qkv, &l.output, &l.gate_up, &l.down].map(Clone::clone));
        [self.embedding.clone()].into_iter().chain(layers).collect()
    }

    /// The ranges of vectors (norm gains), which weight decay leaves alone.
    pub(crate) fn norms(&self) -> Vec<Range<usize>> {
        let layers = self.layers.iter().flat_map(|l| [l.input_norm.clone(), l.post_norm.clone()]);
        layers.chain([self.final_norm.clone()]).collect()
    }
}

/// Fresh weights: gains 1, matrices normal with deviation 0.02, and those that write to the residual stream scaled by
/// `1/√(2·layers)` so that its variance does not grow with depth (GPT-2's rule).
pub(crate) fn initialise(config: &ModelConfig, layout: &Layout, seed: u64) -> Vec<f32> {
    const DEVIATION: f32 = 0.02;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights: Vec<f32> = (0..layout.total).map(|_| DEVIATION * standard_normal(&mut rng)).collect();
    let residual_scale = 1.0 / (2.0 * config.layers as f32).sqrt();
    for layer in &layout.layers {
        for range in [&layer.output, &layer.down] {
            weights[range.clone()].iter_mut().for_each(|w| *w *= residual_scale);
        }
    }
    for range in layout.norms() {
        weights[range].fill(1.0);
    }
    weights
}

/// Box–Muller, one of the pair.
fn standard_normal(rng: &mut ChaCha8Rng) -> f32 {
    // 1 − u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
