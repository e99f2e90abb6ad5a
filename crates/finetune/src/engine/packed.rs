//! The frozen values of a model in the form that the engine computes with: weights packed for the processor.

use std::sync::Arc;

use kernels::{Isa, Matrix, MatrixMut, Panels, Scratch, Write, ops};

use crate::model::architecture::Stage;
use crate::model::checkpoint::{BlockValues, Checkpoint, LinearValues, NormValues};
use crate::model::{ModelConfig, ModelError, ModelFiles};
use crate::parallel::for_each_in_order;
use crate::train::Precision;

/// Number format of the packed weights and of what they are multiplied with; sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) isa: Isa,
    pub(crate) bf16: bool,
}

impl Format {
    /// The best instruction set of this processor; bf16 where it is asked for and the processor multiplies it.
    pub(crate) fn of(precision: Precision) -> Self {
        let isa = Isa::detect();
        Self { isa, bf16: precision == Precision::Bf16 && isa.has_bf16() }
    }
}

/// GFLOP/s that this processor reaches on `threads` threads at registers' speed in the arithmetic of `precision`, measured now, in a
/// moment; and the name of its instruction set.
pub fn processor_rate(precision: Precision, threads: usize) -> (f64, &'static str) {
    let Format { isa, bf16 } = Format::of(precision);
    (kernels::peak(isa, bf16, threads), isa.name())
}

/// What the packed model is for: the way back needs every weight a second time, transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Inference,
    Training,
}

/// A frozen model, packed once and shared between threads.
pub(crate) struct PackedModel {
    pub(crate) config: ModelConfig,
    pub(crate) format: Format,
    /// `[vocabulary, hidden]`
    pub(crate) embeddings: Arc<Panels>,
    /// `[max_position_embeddings, hidden]`
    pub(crate) positions: Option<Vec<f32>>,
    pub(crate) blocks: Vec<PackedBlock>,
    pub(crate) final_norm: PackedNorm,
    pub(crate) head: PackedLinear,
}

pub(crate) struct PackedBlock {
    pub(crate) input_norm: PackedNorm,
    pub(crate) attention_post_norm: Option<PackedNorm>,
    pub(crate) feed_forward_norm: PackedNorm,
    pub(crate) feed_forward_post_norm: Option<PackedNorm>,
    pub(crate) query_norm: Option<PackedNorm>,
    pub(crate) key_norm: Option<PackedNorm>,
    /// In the order of [`Stage`].
    pub(crate) stages: [PackedLinear; 4],
}

pub(crate) struct PackedNorm {
    gain: Vec<f32>,
    /// Set for layer normalisation.
    bias: Option<Vec<f32>>,
    epsilon: f32,
}

/// `y = x·Wᵀ + b` and, in training, `dx = dy·W`.
pub(crate) struct PackedLinear {
    /// Wᵀ `[in, out]`
    forward: Panels,
    /// W `[out, in]`
    backward: Option<Arc<Panels>>,
    bias: Option<Vec<f32>>,
}

impl PackedModel {
    /// Reads and packs a model, block by block on `threads` threads, so that only a few blocks lie in memory unpacked.
    ///
    /// # Errors
    /// [`ModelError`] names the file or tensor that cannot be used.
    pub(crate) fn load(
        files: &ModelFiles,
        format: Format,
        purpose: Use,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let checkpoint = Checkpoint::open(files)?;
        let config = checkpoint.config().clone();
        let mut blocks = Vec::with_capacity(config.num_hidden_layers);
        let block = |index| -> Result<_, ModelError> {
            let block = PackedBlock::new(&config, checkpoint.block(index)?, format, purpose);
            files.release();
            Ok(block)
        };
        for_each_in_order(config.num_hidden_layers, threads, block, |block| blocks.push(block))?;
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let table = checkpoint.embeddings()?;
        let pack = |table: &[f32]| {
            Arc::new(Panels::pack(format.isa, Matrix::new(table, vocabulary, hidden), format.bf16))
        };
        let embeddings = pack(&table);
        let other = checkpoint.head()?;
        let backward = match (&other, purpose) {
            (_, Use::Inference) => None,
            (None, Use::Training) => Some(embeddings.clone()),
            (Some(other), Use::Training) => Some(pack(other)),
        };
        let head = Matrix::new(other.as_ref().unwrap_or(&table), vocabulary, hidden).t();
        let head =
            PackedLinear { forward: Panels::pack(format.isa, head, format.bf16), backward, bias: None };
        let final_norm = PackedNorm::new(&config, checkpoint.final_norm()?);
        let positions = checkpoint.positions()?;
        files.release();
        Ok(Self { format, embeddings, positions, blocks, final_norm, head, config })
    }

    pub(crate) fn serves(&self, format: Format, purpose: Use) -> bool {
        self.format == format && (purpose == Use::Inference || self.head.backward.is_some())
    }

    /// Embeddings `[t, hidden]` of tokens, scaled, without positions.
    pub(crate) fn embed(&self, tokens: &[u32], out: &mut [f32]) {
        for (token, out) in tokens.iter().zip(out.chunks_exact_mut(self.config.hidden_size)) {
            self.embeddings.read_row(*token as usize, out);
        }
        self.scale_embeddings(out);
    }

    /// Multiplies embeddings as stored by the model's factor.
    pub(crate) fn scale_embeddings(&self, out: &mut [f32]) {
        if self.config.embedding_scale != 1.0 {
            ops::scale(self.format.isa, out, self.config.embedding_scale as f32);
        }
    }
}

#[cfg(test)]
impl PackedModel {
    /// Bytes of the packed weights, each counted once.
    pub(crate) fn packed_bytes(&self) -> usize {
        let ways = |linear: &PackedLinear| {
            linear.forward.bytes() + linear.backward.as_ref().map_or(0, |panels| panels.bytes())
        };
        let blocks: usize = self.blocks.iter().flat_map(|block| &block.stages).map(ways).sum();
        let head = match self.config.tie_word_embeddings {
            true => self.head.forward.bytes(),
            false => ways(&self.head),
        };
        blocks + self.embeddings.bytes() + head + self.positions.as_ref().map_or(0, |table| 4 * table.len())
    }
}

impl PackedBlock {
    fn new(config: &ModelConfig, values: BlockValues, format: Format, purpose: Use) -> Self {
        let norm = |values| PackedNorm::new(config, values);
        let [query_key_value, attention_output, up, down] = values.stages;
        let linear = |values, stage| PackedLinear::new(values, config.stage_widths(stage), format, purpose);
        Self {
            input_norm: norm(values.input_norm),
            attention_post_norm: values.attention_post_norm.map(norm),
            feed_forward_norm: norm(values.feed_forward_norm),
            feed_forward_post_norm: values.feed_forward_post_norm.map(norm),
            query_norm: values.query_norm.map(norm),
            key_norm: values.key_norm.map(norm),
            stages: [
                linear(query_key_value, Stage::QueryKeyValue),
                linear(attention_output, Stage::AttentionOutput),
                linear(up, Stage::Up),
                linear(down, Stage::Down),
            ],
        }
    }
}

impl PackedNorm {
    fn new(config: &ModelConfig, values: NormValues) -> Self {
        Self { gain: values.gain, bias: values.bias, epsilon: config.norm.epsilon as f32 }
    }

    /// `y = norm(x)` for rows as long as the gain.
    pub(crate) fn forward(&self, isa: Isa, x: &[f32], y: &mut [f32]) {
        match &self.bias {
            Some(bias) => ops::layer_norm(isa, x, &self.gain, bias, self.epsilon, y),
            None => ops::rms_norm(isa, x, &self.gain, self.epsilon, y),
        }
    }

    /// Adds the gradient of x to dx.
    pub(crate) fn backward(&self, isa: Isa, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        match &self.bias {
            Some(_) => ops::layer_norm_backward(isa, x, &self.gain, self.epsilon, dy, dx),
            None => ops::rms_norm_backward(isa, x, &self.gain, self.epsilon, dy, dx),
        }
    }
}

impl PackedLinear {
    fn new(
        values: LinearValues,
        (input, output): (usize, usize),
        Format { isa, bf16 }: Format,
        purpose: Use,
    ) -> Self {
        let weight = Matrix::new(&values.weight, output, input);
        Self {
            forward: Panels::pack(isa, weight.t(), bf16),
            backward: (purpose == Use::Training).then(|| Arc::new(Panels::pack(isa, weight, bf16))),
            bias: values.bias,
        }
    }

    /// Input and output width.
    pub(crate) fn shape(&self) -> (usize, usize) {
        self.forward.shape()
    }

    pub(crate) fn is_bf16(&self) -> bool {
        self.forward.is_bf16()
    }

    /// `C = x [t, in] · Wᵀ`, for an output whose rows have gaps.
    pub(crate) fn products(&self, x: Matrix<'_>, out: MatrixMut<'_>, scratch: &mut Scratch) {
        self.forward.multiply(x, out, Write::Replace, scratch);
    }

    /// `y [t, out] = x [t, in] · Wᵀ + b`
    pub(crate) fn forward(&self, isa: Isa, x: &[f32], y: &mut [f32], scratch: &mut Scratch) {
        let (input, output) = self.shape();
        let rows = x.len() / input;
        self.products(Matrix::new(x, rows, input), MatrixMut::new(y, rows, output), scratch);
        if let Some(bias) = &self.bias {
            ops::add_to_rows(isa, y, bias);
        }
    }

    /// W `[out, in]`
    ///
    /// # Panics
    /// If the model was packed for inference: nothing but a gradient asks for it.
    pub(crate) fn transposed(&self) -> &Panels {
        self.backward.as_ref().expect("the model was packed for training")
    }

    /// `dx [t, in] = dy [t, out] · W`
    pub(crate) fn backward(&self, dy: &[f32], dx: &mut [f32], scratch: &mut Scratch) {
        let (input, output) = self.shape();
        let rows = dy.len() / output;
        let out = MatrixMut::new(dx, rows, input);
        self.transposed().multiply(Matrix::new(dy, rows, output), out, Write::Replace, scratch);
    }
}
