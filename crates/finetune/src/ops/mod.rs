//! Differentiable operations of a transformer block whose forward and backward are written here.
//!
//! Why not candle's own operations: its fused ones (`softmax_last_dim`, `rms_norm`, `rope`) have no backward and cut
//! the graph silently; its matmul also computes the gradient of the frozen weight, which nobody reads, and asks the
//! operating system for the number of processors on every call. Each operation here is a pair of plain functions over
//! slices, run on the calling thread; [`unary`], [`binary`] and [`ternary`] put the pair into candle's graph.

mod activation;
mod attention;
mod cross_entropy;
mod forward_corrected;
mod layer_norm;
mod linear;
pub(crate) mod matrix;
mod rms_norm;
mod rope;
mod softcap;

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail,
};

pub(crate) use activation::{activate, gate};
pub(crate) use attention::{AttentionOptions, Heads, attention};
pub(crate) use cross_entropy::{CrossEntropy, RowLoss, head_loss, map_logits};
#[cfg(test)]
pub(crate) use forward_corrected::MODEL_SHARE;
pub(crate) use forward_corrected::posterior;
pub(crate) use layer_norm::layer_norm;
pub(crate) use linear::{frozen_linear, low_rank};
pub(crate) use rms_norm::rms_norm;
pub(crate) use rope::{RopeTable, rope};
pub(crate) use softcap::{Softcapped, softcap};

/// Lends the values of a contiguous f32 tensor on the CPU.
pub(crate) fn read<R>(tensor: &Tensor, use_values: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => Ok(use_values(&values[from..to])),
        _ => bail!("expected a contiguous f32 tensor on the CPU, got {:?}", tensor),
    }
}

/// Puts `values`, a function of `x`, into the graph; `backward` maps the result's gradient to that of `x`.
pub(crate) fn unary(
    x: &Tensor,
    (values, shape): (Vec<f32>, Shape),
    backward: impl Fn(&[f32]) -> Result<Vec<f32>> + Send + Sync + 'static,
) -> Result<Tensor> {
    x.apply_op1(Recorded { output: Mutex::new(Some((CpuStorage::F32(values), shape))), backward })
}

/// Like [`unary`] for a function of two tensors.
pub(crate) fn binary(
    x: &Tensor,
    y: &Tensor,
    (values, shape): (Vec<f32>, Shape),
    backward: impl Fn(&[f32]) -> Result<[Vec<f32>; 2]> + Send + Sync + 'static,
) -> Result<Tensor> {
    x.apply_op2(y, Recorded { output: Mutex::new(Some((CpuStorage::F32(values), shape))), backward })
}

/// Like [`unary`] for a function of three tensors.
pub(crate) fn ternary(
    [x, y, z]: [&Tensor; 3],
    (values, shape): (Vec<f32>, Shape),
    backward: impl Fn(&[f32]) -> Result<[Vec<f32>; 3]> + Send + Sync + 'static,
) -> Result<Tensor> {
    x.apply_op3(y, z, Recorded { output: Mutex::new(Some((CpuStorage::F32(values), shape))), backward })
}

/// A result that is already computed, with the way back.
struct Recorded<B> {
    output: Mutex<Option<(CpuStorage, Shape)>>,
    backward: B,
}

impl<B> Recorded<B> {
    /// The result is moved out instead of copied: candle runs the forward of an operation once.
    fn output(&self) -> Result<(CpuStorage, Shape)> {
        match self.output.lock().ok().and_then(|mut output| output.take()) {
            Some(output) => Ok(output),
            None => bail!("a recorded operation was run twice"),
        }
    }
}

const NAME: &str = "recorded";

fn gradient_like(tensor: &Tensor, gradient: Vec<f32>) -> Result<Option<Tensor>> {
    Tensor::from_vec(gradient, tensor.shape(), &Device::Cpu).map(Some)
}

impl<B: Fn(&[f32]) -> Result<Vec<f32>>> CustomOp1 for Recorded<B> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output()
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient_like(x, read(&gradient.contiguous()?, &self.backward)??)
    }
}

impl<B: Fn(&[f32]) -> Result<[Vec<f32>; 2]>> CustomOp2 for Recorded<B> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output()
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dy] = read(&gradient.contiguous()?, &self.backward)??;
        Ok((gradient_like(x, dx)?, gradient_like(y, dy)?))
    }
}

impl<B: Fn(&[f32]) -> Result<[Vec<f32>; 3]>> CustomOp3 for Recorded<B> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.output()
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        z: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dy, dz] = read(&gradient.contiguous()?, &self.backward)??;
        Ok((gradient_like(x, dx)?, gradient_like(y, dy)?, gradient_like(z, dz)?))
    }
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
