//! Nonlinearities of the feed-forward block, plain or as a gate (Shazeer 2020).

use super::LANES;
use super::elementary::{normal_density, normal_distribution, sigmoid, tanh};
use crate::isa::for_each_isa;

/// Nonlinearity of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · σ(x)`
    Silu,
    /// `x · Φ(x)` with the normal distribution function.
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016, section 2): `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
}

const ROOT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// f(x) and f′(x).
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    let y = x * s;
    (y, y.mul_add(1.0 - s, s))
}

#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    let share = normal_distribution(x);
    (x * share, x.mul_add(normal_density(x), share))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    let th = tanh(ROOT_2_OVER_PI * (CUBIC * x * x).mul_add(x, x));
    let half = 0.5 * (1.0 + th);
    let inner = ROOT_2_OVER_PI * (3.0 * CUBIC * x).mul_add(x, 1.0);
    (x * half, (0.5 * x * (1.0 - th * th)).mul_add(inner, half))
}

#[inline(always)]
fn forward(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
    for (x, y) in x.iter().zip(y) {
        *y = f(*x).0;
    }
}

#[inline(always)]
fn backward(x: &mut [f32], dy: &[f32], f: impl Fn(f32) -> (f32, f32)) {
    for (x, dy) in x.iter_mut().zip(dy) {
        *x = f(*x).1 * dy;
    }
}

#[inline(always)]
fn gate_forward(gate_up: &[f32], width: usize, y: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
    for (row, y) in gate_up.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
        let (gate, up) = row.split_at(width);
        for ((g, u), y) in gate.iter().zip(up).zip(y) {
            *y = f(*g).0 * u;
        }
    }
}

#[inline(always)]
fn gate_back(gate_up: &mut [f32], width: usize, dy: &[f32], f: impl Fn(f32) -> (f32, f32)) {
    for (row, dy) in gate_up.chunks_exact_mut(2 * width).zip(dy.chunks_exact(width)) {
        let (gate, up) = row.split_at_mut(width);
        let whole = width / LANES * LANES;
        // A block is read before any of it is written, which tells the compiler that it may work on all of it at once.
        for first in (0..whole).step_by(LANES) {
            let (mut d_gate, mut d_up) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (g, u, dy) = (&gate[first..][..LANES], &up[first..][..LANES], &dy[first..][..LANES]);
            for i in 0..LANES {
                let (value, slope) = f(g[i]);
                d_gate[i] = dy[i] * u[i] * slope;
                d_up[i] = dy[i] * value;
            }
            gate[first..][..LANES].copy_from_slice(&d_gate);
            up[first..][..LANES].copy_from_slice(&d_up);
        }
        for i in whole..width {
            let (value, slope) = f(gate[i]);
            (gate[i], up[i]) = (dy[i] * up[i] * slope, dy[i] * value);
        }
    }
}

for_each_isa! {
    /// `y = f(x)`
    pub fn activate(activation: Activation, x: &[f32], y: &mut [f32]) {
        match activation {
            Activation::Silu => forward(x, y, silu),
            Activation::Gelu => forward(x, y, gelu),
            Activation::GeluTanh => forward(x, y, gelu_tanh),
        }
    }

    /// Replaces x by `f′(x) · dy`.
    pub fn activate_backward(activation: Activation, x: &mut [f32], dy: &[f32]) {
        match activation {
            Activation::Silu => backward(x, dy, silu),
            Activation::Gelu => backward(x, dy, gelu),
            Activation::GeluTanh => backward(x, dy, gelu_tanh),
        }
    }

    /// `y = f(gate) ∘ up` for rows `gate | up` of `2·width` values.
    pub fn gate(activation: Activation, gate_up: &[f32], width: usize, y: &mut [f32]) {
        match activation {
            Activation::Silu => gate_forward(gate_up, width, y, silu),
            Activation::Gelu => gate_forward(gate_up, width, y, gelu),
            Activation::GeluTanh => gate_forward(gate_up, width, y, gelu_tanh),
        }
    }

    /// Replaces rows `gate | up` by their gradients, from dy.
    pub fn gate_backward(activation: Activation, gate_up: &mut [f32], width: usize, dy: &[f32]) {
        match activation {
            Activation::Silu => gate_back(gate_up, width, dy, silu),
            Activation::Gelu => gate_back(gate_up, width, dy, gelu),
            Activation::GeluTanh => gate_back(gate_up, width, dy, gelu_tanh),
        }
    }
}
