//! The gate of Llama's feed-forward block (Shazeer 2020): `y = gate·σ(gate)·up`.

use candle_core::{Result, Tensor};

use super::{binary, read};

/// `y = silu(gate) ∘ up` for two tensors of one shape.
pub(crate) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let y = read(gate, |g| read(up, |u| g.iter().zip(u).map(|(g, u)| g * sigmoid(*g) * u).collect()))??;
    let (saved_gate, saved_up) = (gate.detach(), up.detach());
    binary(gate, up, (y, gate.shape().clone()), move |dy| {
        read(&saved_gate, |g| read(&saved_up, |u| backward(g, u, dy)))?
    })
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `silu'(g) = σ(g)·(1 + g·(1 − σ(g)))`
fn backward(gate: &[f32], up: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    let (mut d_gate, mut d_up) = (Vec::with_capacity(dy.len()), Vec::with_capacity(dy.len()));
    for ((g, u), e) in gate.iter().zip(up).zip(dy) {
        let s = sigmoid(*g);
        d_gate.push(e * u * s * (1.0 + g * (1.0 - s)));
        d_up.push(e * g * s);
    }
    [d_gate, d_up]
}
