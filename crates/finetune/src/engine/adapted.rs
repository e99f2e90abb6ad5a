//! The linear stages with their adapters: `y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ`.
//!
//! All modules of a stage read the same x, so their A matrices are stacked and multiplied at once.

use kernels::{Isa, Matrix, MatrixMut, Scratch, Write, matmul, ops};

use super::packed::{PackedLinear, PackedModel};
use crate::lora::{LoraEntry, LoraLayout};

/// The adapters of every stage of every block, laid out for the products of one step.
pub(crate) struct Adapters {
    /// `[block][stage]`
    stages: Vec<[StageAdapter; 4]>,
    /// The first block and stage with an adapter: no gradient is needed below.
    pub(crate) lowest: Option<(usize, usize)>,
}

/// The adapters of the modules of one stage.
#[derive(Default)]
pub(crate) struct StageAdapter {
    parts: Vec<Part>,
    rank: usize,
    scaling: f32,
    /// Stacked A `[parts · rank, in]`
    a: Vec<f32>,
    /// Its transpose.
    a_transposed: Vec<f32>,
}

struct Part {
    entry: LoraEntry,
    /// First column in the stage's output.
    offset: usize,
    /// s·B `[out, rank]`
    b: Vec<f32>,
    /// s·Bᵀ `[rank, out]`
    b_transposed: Vec<f32>,
}

impl Adapters {
    /// The values of `parameters`, flat in the order of the layout.
    pub(crate) fn new(model: &PackedModel, layout: &LoraLayout, scaling: f64, parameters: &[f32]) -> Self {
        let isa = model.format.isa;
        let stage = |block: usize, stage: usize| {
            let of_stage = |entry: &&LoraEntry| {
                entry.layer == block && model.config.modules[entry.module].stage as usize == stage
            };
            let mut adapter =
                StageAdapter { rank: layout.rank(), scaling: scaling as f32, ..Default::default() };
            for entry in layout.entries().iter().filter(of_stage) {
                adapter.a.extend_from_slice(layout.a(entry, parameters));
                let b: Vec<f32> = layout.b(entry, parameters).iter().map(|b| b * adapter.scaling).collect();
                let mut b_transposed = vec![0.0; b.len()];
                ops::transpose(isa, &b, entry.output, adapter.rank, adapter.rank, &mut b_transposed);
                let offset = model.config.modules[entry.module].offset;
                adapter.parts.push(Part { entry: *entry, offset, b, b_transposed });
            }
            adapter.a_transposed = vec![0.0; adapter.a.len()];
            if let Some(part) = adapter.parts.first() {
                let (rows, input) = (adapter.width(), part.entry.input);
                ops::transpose(isa, &adapter.a, rows, input, input, &mut adapter.a_transposed);
            }
            adapter
        };
        let blocks = 0..model.blocks.len();
        let stages: Vec<[StageAdapter; 4]> =
            blocks.map(|block| std::array::from_fn(|index| stage(block, index))).collect();
        let places = stages.iter().enumerate().flat_map(|(b, s)| s.iter().enumerate().map(move |s| (b, s)));
        let lowest = places.filter(|(_, (_, s))| !s.is_empty()).map(|(b, (s, _))| (b, s)).next();
        Self { stages, lowest }
    }

    pub(crate) fn stages(&self, block: usize) -> &[StageAdapter; 4] {
        &self.stages[block]
    }
}

/// Buffers that stages share.
#[derive(Default)]
pub(crate) struct StageScratch {
    pub(crate) products: Scratch,
    /// `[t, parts · rank]`
    dh: Vec<f32>,
    /// `[rank, out]`
    db: Vec<f32>,
}

impl StageAdapter {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Columns of all `x·Aᵀ` side by side.
    pub(crate) fn width(&self) -> usize {
        self.parts.len() * self.rank
    }

    /// `y [t, out]` of `x [t, in]`; leaves `x·Aᵀ [t, width]` in `h`.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        frozen: &PackedLinear,
        x: &[f32],
        y: &mut [f32],
        h: &mut Vec<f32>,
        scratch: &mut StageScratch,
    ) {
        frozen.forward(isa, x, y, &mut scratch.products);
        if self.is_empty() {
            return;
        }
        let ((input, output), width, rank) = (frozen.shape(), self.width(), self.rank);
        let rows = x.len() / input;
        h.resize(rows * width, 0.0);
        let down = Matrix::new(&self.a_transposed, input, width);
        matmul(isa, Matrix::new(x, rows, input), down, MatrixMut::new(h, rows, width), Write::Replace);
        for (index, part) in self.parts.iter().enumerate() {
            let h = Matrix::strided(&h[index * rank..], rows, rank, width);
            let up = Matrix::new(&part.b_transposed, rank, part.entry.output);
            let y = MatrixMut::strided(&mut y[part.offset..], rows, part.entry.output, output);
            matmul(isa, h, up, y, Write::Add);
        }
    }

    /// `dx [t, in]` of `dy [t, out]`, where it is wanted; adds the gradients of A and B to `gradient`, flat.
    #[allow(clippy::too_many_arguments, reason = "what one linear map needs on its way back")]
    pub(crate) fn backward(
        &self,
        isa: Isa,
        frozen: &PackedLinear,
        x: &[f32],
        h: &[f32],
        dy: &[f32],
        mut dx: Option<&mut [f32]>,
        gradient: &mut [f32],
        scratch: &mut StageScratch,
    ) {
        if let Some(dx) = dx.as_deref_mut() {
            frozen.backward(dy, dx, &mut scratch.products);
        }
        if self.is_empty() {
            return;
        }
        let ((input, output), width, rank) = (frozen.shape(), self.width(), self.rank);
        let rows = dy.len() / output;
        let StageScratch { dh, db, .. } = scratch;
        dh.resize(rows * width, 0.0);
        for (index, part) in self.parts.iter().enumerate() {
            let dy = Matrix::strided(&dy[part.offset..], rows, part.entry.output, output);
            let b = Matrix::new(&part.b, part.entry.output, rank);
            let out = MatrixMut::strided(&mut dh[index * rank..], rows, rank, width);
            matmul(isa, dy, b, out, Write::Replace);

            let dh = Matrix::strided(&dh[index * rank..], rows, rank, width);
            let da = MatrixMut::new(&mut gradient[part.entry.a_offset..][..rank * input], rank, input);
            matmul(isa, dh.t(), Matrix::new(x, rows, input), da, Write::Add);

            db.resize(rank * part.entry.output, 0.0);
            let h = Matrix::strided(&h[index * rank..], rows, rank, width);
            matmul(isa, h.t(), dy, MatrixMut::new(db, rank, part.entry.output), Write::Replace);
            let target = &mut gradient[part.entry.b_offset..][..part.entry.output * rank];
            for (row, values) in db.chunks_exact(part.entry.output).enumerate() {
                for (column, value) in values.iter().enumerate() {
                    target[column * rank + row] += self.scaling * value;
                }
            }
        }
        if let Some(dx) = dx {
            let a = Matrix::new(&self.a, width, input);
            matmul(isa, Matrix::new(dh, rows, width), a, MatrixMut::new(dx, rows, input), Write::Add);
        }
    }
}
