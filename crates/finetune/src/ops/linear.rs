//! Linear maps: `y = x·Wᵀ` with a frozen `W`, and `y = x·Aᵀ` with a trained `A`.

use candle_core::{Result, Shape, Tensor};

use super::matrix::{Matrix, product};
use super::{binary, read, unary};

/// `x·Wᵀ` for `x [t, in]` and a frozen `W [out, in]`: the backward computes `dx = dy·W` and nothing else.
pub(crate) fn frozen_linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((t, input), (output, _)) = (x.dims2()?, weight.dims2()?);
    let y = times_transposed(x, weight)?;
    let weight = weight.clone();
    unary(x, (y, Shape::from((t, output))), move |dy| {
        read(&weight, |w| product(Matrix::new(dy, t, output), Matrix::new(w, output, input)))
    })
}

/// `x·Aᵀ` for `x [t, in]` and a trained `A [r, in]`: `dx = dy·A`, `dA = dyᵀ·x`.
pub(crate) fn low_rank(x: &Tensor, a: &Tensor) -> Result<Tensor> {
    let ((t, input), (rank, _)) = (x.dims2()?, a.dims2()?);
    let y = times_transposed(x, a)?;
    let (saved_x, saved_a) = (x.detach(), a.detach());
    binary(x, a, (y, Shape::from((t, rank))), move |dy| {
        let dy = Matrix::new(dy, t, rank);
        let dx = read(&saved_a, |a| product(dy, Matrix::new(a, rank, input)))?;
        let da = read(&saved_x, |x| product(dy.t(), Matrix::new(x, t, input)))?;
        Ok([dx, da])
    })
}

fn times_transposed(x: &Tensor, weight: &Tensor) -> Result<Vec<f32>> {
    let ((t, input), (output, weight_input)) = (x.dims2()?, weight.dims2()?);
    read(x, |x| {
        read(weight, |w| product(Matrix::new(x, t, input), Matrix::new(w, output, weight_input).t()))
    })?
}
