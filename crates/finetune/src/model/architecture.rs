//! What all supported families have in common: a stack of blocks, each of two attention and two feed-forward
//! stages.
//!
//! ```text
//! x = embeddings[token] · scale (+ positions[i])
//! for each block
//!     a = norm(x)            q|k|v = stage 0 of a,   rope, attention,   o = stage 1
//!     x = x + (norm?)(o)
//!     f = norm(x)            gate|up = stage 2 of f, activation,        d = stage 3
//!     x = x + (norm?)(d)
//! logits = softcap?(head · norm(x))
//! ```
//!
//! A family says which of the options it uses and what its tensors are called; everything that computes reads
//! these values and never asks for the family's name.

pub use kernels::ops::Activation;

/// Shape, constants and names of a causal language model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// `model_type` of the family: `llama`, `gpt2`, …
    pub family: &'static str,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Transformer blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads (grouped-query attention).
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Longest sequence the model was made for.
    pub max_position_embeddings: usize,
    /// The normalisation of all places.
    pub norm: Norm,
    /// Rotary position embeddings that blocks choose from; empty for learned positions.
    pub ropes: Vec<Rope>,
    /// How each block's attention differs from the other blocks'; `num_hidden_layers` entries.
    pub attention: Vec<AttentionKind>,
    /// Scores are multiplied by it before the softmax.
    pub attention_scale: f64,
    /// Scores s become `cap · tanh(s / cap)` (Gemma 2).
    pub attention_softcap: Option<f64>,
    /// Logits z become `cap · tanh(z / cap)` (Gemma 2).
    pub logit_softcap: Option<f64>,
    /// Embeddings are multiplied by it (Gemma).
    pub embedding_scale: f64,
    /// The nonlinearity of the feed-forward block.
    pub activation: Activation,
    /// Whether stage 2 is `gate | up` and its result `activation(gate) ∘ up`, or only `activation(up)`.
    pub gated: bool,
    /// The linear maps of a block in order of stage and output offset; the same for every block.
    pub modules: Vec<Module>,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Names of the tensors.
    pub names: TensorNames,
    /// Token put before a sequence.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a sequence; the first one is put after training sequences.
    pub eos_token_ids: Vec<u32>,
}

/// A normalisation over the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Which formula.
    pub kind: NormKind,
    /// Added to the mean square or the variance before its root.
    pub epsilon: f64,
}

/// Formula of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `g ∘ x / √(mean(x²) + ε)` (Zhang & Sennrich 2019, eq. 4).
    Rms,
    /// `(1 + g) ∘ x / √(mean(x²) + ε)` (Gemma). The stored gain is g; loaded values already are 1 + g.
    RmsPlusOne,
    /// `g ∘ (x − mean) / √(var + ε) + b` (Ba et al. 2016, eq. 4).
    Layer,
}

/// A rotary position embedding (Su et al. 2021), half-split: channel i of a head pairs with channel `i + n` for
/// `i < n = inverse_frequencies.len()`; channels from 2n on are left alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Position p turns pair i by the angle `p · inverse_frequencies[i]`.
    pub inverse_frequencies: Vec<f64>,
    /// Cosines and sines are multiplied by it (1 but for `longrope`).
    pub scale: f64,
}

/// What differs between the attention of one block and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionKind {
    /// Index in [`ModelConfig::ropes`]; `None` where queries and keys are not turned.
    pub rope: Option<usize>,
    /// A query sees itself and the `window − 1` keys before it; all keys before it without one.
    pub window: Option<usize>,
}

/// The four linear stages of a block: the maps that read the same input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Queries, keys and values side by side.
    QueryKeyValue,
    /// Output of the attention.
    AttentionOutput,
    /// Gate and up-projection side by side, or the up-projection alone.
    Up,
    /// Down-projection.
    Down,
}

/// A linear map of a block that an adapter may change, by its name in PEFT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Last part of its path: `q_proj`.
    pub name: &'static str,
    /// Path inside of the block: `self_attn.q_proj`.
    pub path: &'static str,
    /// The stage that it is a part of.
    pub stage: Stage,
    /// Its first column in the stage's output.
    pub offset: usize,
    /// Input width.
    pub input: usize,
    /// Output width.
    pub output: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// Whether its weight is stored `[input, output]` (GPT-2's Conv1D).
    pub transposed: bool,
}

/// Names of the tensors that are not modules, without `.weight` and `.bias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorNames {
    /// `model.embed_tokens`
    pub embeddings: &'static str,
    /// Learned positions: `transformer.wpe`
    pub positions: Option<&'static str>,
    /// Block i is `{block}.{i}`: `model.layers`
    pub block: &'static str,
    /// Before the attention.
    pub input_norm: &'static str,
    /// On the attention's output, before it is added (Gemma).
    pub attention_post_norm: Option<&'static str>,
    /// Before the feed-forward block.
    pub feed_forward_norm: &'static str,
    /// On the feed-forward block's output, before it is added (Gemma).
    pub feed_forward_post_norm: Option<&'static str>,
    /// On each query head, before the rotation (Qwen3, Gemma 3).
    pub query_norm: Option<&'static str>,
    /// On each key head.
    pub key_norm: Option<&'static str>,
    /// After the last block.
    pub final_norm: &'static str,
    /// `lm_head`
    pub head: &'static str,
}

impl ModelConfig {
    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn key_value_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Input and output width of a stage.
    pub fn stage_widths(&self, stage: Stage) -> (usize, usize) {
        let inner = self.intermediate_size;
        match stage {
            Stage::QueryKeyValue => (self.hidden_size, self.query_width() + 2 * self.key_value_width()),
            Stage::AttentionOutput => (self.query_width(), self.hidden_size),
            Stage::Up => (self.hidden_size, if self.gated { 2 * inner } else { inner }),
            Stage::Down => (inner, self.hidden_size),
        }
    }

    /// The modules of a stage, each with its index in [`modules`](Self::modules).
    pub fn stage_modules(&self, stage: Stage) -> impl Iterator<Item = (usize, &Module)> {
        self.modules.iter().enumerate().filter(move |(_, module)| module.stage == stage)
    }

    /// Path of a tensor's or module's owner in block `layer`: `model.layers.3.self_attn.q_proj`.
    pub fn block_path(&self, layer: usize, part: &str) -> String {
        format!("{}.{layer}.{part}", self.names.block)
    }
}

impl Stage {
    /// All stages in the order of a block.
    pub const ALL: [Self; 4] = [Self::QueryKeyValue, Self::AttentionOutput, Self::Up, Self::Down];

    /// Whether the stage is a part of the attention.
    pub fn is_attention(self) -> bool {
        matches!(self, Self::QueryKeyValue | Self::AttentionOutput)
    }
}

impl Module {
    /// A module stored `[output, input]`, without a bias, named by the last part of its path.
    pub(super) fn new(
        path: &'static str,
        stage: Stage,
        offset: usize,
        (input, output): (usize, usize),
    ) -> Self {
        let name = path.rsplit('.').next().unwrap_or(path);
        Self { name, path, stage, offset, input, output, bias: false, transposed: false }
    }

    pub(super) fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }
}
