//! Nonlinearities of a feed-forward block, plain and gated (Shazeer 2020): `y = a(x)` and `y = a(gate) ∘ up`.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use candle_core::cpu::erf::erf_f32;
use candle_core::{Result, Tensor};

use super::{binary, read, unary};
use crate::model::architecture::Activation;

/// Weight of the cube in [`Activation::GeluTanh`] (Hendrycks & Gimpel 2016, section 2).
const CUBE: f32 = 0.044_715;

/// `y = a(x)`
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let y = read(x, |x| x.iter().map(|&x| value_and_slope(activation, x).0).collect())?;
    let saved = x.detach();
    unary(x, (y, x.shape().clone()), move |dy| {
        read(&saved, |x| x.iter().zip(dy).map(|(&x, e)| e * value_and_slope(activation, x).1).collect())
    })
}

/// `y = a(gate) ∘ up` for two tensors of one shape.
pub(crate) fn gate(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    let value = |(g, u): (&f32, &f32)| value_and_slope(activation, *g).0 * u;
    let y = read(gate, |g| read(up, |u| g.iter().zip(u).map(value).collect()))??;
    let (saved_gate, saved_up) = (gate.detach(), up.detach());
    binary(gate, up, (y, gate.shape().clone()), move |dy| {
        read(&saved_gate, |g| read(&saved_up, |u| gate_backward(g, u, dy, activation)))?
    })
}

/// `d gate = dy ∘ up ∘ a'(gate)`, `d up = dy ∘ a(gate)`
fn gate_backward(gate: &[f32], up: &[f32], dy: &[f32], activation: Activation) -> [Vec<f32>; 2] {
    let (mut d_gate, mut d_up) = (Vec::with_capacity(dy.len()), Vec::with_capacity(dy.len()));
    for ((&g, u), e) in gate.iter().zip(up).zip(dy) {
        let (value, slope) = value_and_slope(activation, g);
        d_gate.push(e * u * slope);
        d_up.push(e * value);
    }
    [d_gate, d_up]
}

/// `a(x)` and `a'(x)`
fn value_and_slope(activation: Activation, x: f32) -> (f32, f32) {
    match activation {
        Activation::Silu => {
            let s = 1.0 / (1.0 + (-x).exp());
            (x * s, s * (1.0 + x * (1.0 - s)))
        }
        Activation::Gelu => {
            let below = 0.5 * (1.0 + erf_f32(x * FRAC_1_SQRT_2));
            let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
            (x * below, below + x * density)
        }
        Activation::GeluTanh => {
            let root = (2.0 / PI).sqrt();
            let tanh = (root * (x + CUBE * x * x * x)).tanh();
            let inner = root * (1.0 + 3.0 * CUBE * x * x);
            (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner)
        }
    }
}
