//! Causal grouped-query attention as one operation.
//!
//! For each query head `h`, whose key and value head is `h / (heads / key_value_heads)`:
//! `P = softmax(mask(cap(scale · Q·Kᵀ)))`, `O = P·V`, where `cap(s) = c·tanh(s/c)` if the model has one and the mask
//! hides what comes after a query and what is outside of its window. Heads are strided views into
//! `[t, heads · head_dim]` matrices, so nothing is transposed or repeated. Keys may start before the queries (a cache):
//! the last query sees every key that its window lets it see.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::matrix::{Matrix, Write, multiply};
use super::{read, ternary};

/// How the columns of queries, keys and values are divided into heads.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) query: usize,
    pub(crate) key_value: usize,
    pub(crate) dim: usize,
}

/// What attention does besides its products.
#[derive(Clone, Copy)]
pub(crate) struct AttentionOptions {
    pub(crate) heads: Heads,
    pub(crate) scale: f32,
    pub(crate) softcap: Option<f32>,
    /// Keys that a query sees, itself included; all before it without one.
    pub(crate) window: Option<usize>,
}

/// Attention of `q [t, heads · dim]` over `k` and `v [s, key_value_heads · dim]`, `s ≥ t`; result like `q`.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: AttentionOptions) -> Result<Tensor> {
    let shape = Shape { options, queries: q.dim(0)?, keys: k.dim(0)? };
    let (out, probabilities) = read3([q, k, v], |q, k, v| shape.forward(q, k, v))?;
    let saved = [q.detach(), k.detach(), v.detach()];
    ternary([q, k, v], (out, q.shape().clone()), move |d_out| {
        let [q, k, v] = &saved;
        read3([q, k, v], |q, k, v| shape.backward([q, k, v], &probabilities, d_out))
    })
}

fn read3<R>([x, y, z]: [&Tensor; 3], f: impl FnOnce(&[f32], &[f32], &[f32]) -> R) -> Result<R> {
    read(x, |x| read(y, |y| read(z, |z| f(x, y, z))))??
}

#[derive(Clone, Copy)]
struct Shape {
    options: AttentionOptions,
    queries: usize,
    keys: usize,
}

impl Shape {
    fn query_stride(&self) -> usize {
        self.options.heads.query * self.options.heads.dim
    }

    fn key_stride(&self) -> usize {
        self.options.heads.key_value * self.options.heads.dim
    }

    /// First columns of a query head and of the key and value head that it reads.
    fn offsets(&self, head: usize) -> (usize, usize) {
        let group = self.options.heads.query / self.options.heads.key_value;
        (head * self.options.heads.dim, head / group * self.options.heads.dim)
    }

    fn query_view<'a>(&self, values: &'a [f32], offset: usize) -> Matrix<'a> {
        Matrix::strided(&values[offset..], self.queries, self.options.heads.dim, self.query_stride())
    }

    fn key_view<'a>(&self, values: &'a [f32], offset: usize) -> Matrix<'a> {
        Matrix::strided(&values[offset..], self.keys, self.options.heads.dim, self.key_stride())
    }

    /// Keys that query `row` sees.
    fn visible(&self, row: usize) -> Range<usize> {
        let end = self.keys - self.queries + row + 1;
        end - self.options.window.unwrap_or(end).min(end)..end
    }

    /// `Q·Kᵀ` of a head, neither scaled nor capped.
    fn products(&self, q: &[f32], k: &[f32], head: usize, out: &mut [f32]) {
        let (at, from) = self.offsets(head);
        multiply(self.query_view(q, at), self.key_view(k, from).t(), out, self.keys, Write::Replace);
    }

    /// The output, and the probabilities `[heads, t, s]` for the way back.
    fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let area = self.queries * self.keys;
        let mut out = vec![0.0; q.len()];
        let mut probabilities = vec![0.0; self.options.heads.query * area];
        for (head, p) in probabilities.chunks_exact_mut(area).enumerate() {
            let (at, from) = self.offsets(head);
            self.products(q, k, head, p);
            self.masked_softmax(p);
            let p = Matrix::new(p, self.queries, self.keys);
            multiply(p, self.key_view(v, from), &mut out[at..], self.query_stride(), Write::Replace);
        }
        (out, probabilities)
    }

    fn masked_softmax(&self, products: &mut [f32]) {
        let AttentionOptions { scale, softcap, .. } = self.options;
        for (row, values) in products.chunks_exact_mut(self.keys).enumerate() {
            let visible = self.visible(row);
            values[..visible.start].fill(0.0);
            values[visible.end..].fill(0.0);
            let seen = &mut values[visible];
            for value in seen.iter_mut() {
                *value *= scale;
                if let Some(cap) = softcap {
                    *value = cap * (*value / cap).tanh();
                }
            }
            let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for value in seen.iter_mut() {
                *value = (*value - largest).exp();
                sum += *value;
            }
            let inverse = 1.0 / sum;
            seen.iter_mut().for_each(|value| *value *= inverse);
        }
    }

    /// `dV = Pᵀ·dO`, `dP = dO·Vᵀ`, `dS = scale · cap' ∘ P ∘ (dP − rowsum(P ∘ dP))`, `dQ = dS·K`, `dK = dSᵀ·Q`.
    fn backward(&self, [q, k, v]: [&[f32]; 3], probabilities: &[f32], d_out: &[f32]) -> [Vec<f32>; 3] {
        let area = self.queries * self.keys;
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let (mut ds, mut products) = (vec![0.0; area], vec![0.0; area]);
        for (head, p) in probabilities.chunks_exact(area).enumerate() {
            let (at, from) = self.offsets(head);
            let d_head = self.query_view(d_out, at);
            let p_view = Matrix::new(p, self.queries, self.keys);
            multiply(p_view.t(), d_head, &mut dv[from..], self.key_stride(), Write::Add);
            multiply(d_head, self.key_view(v, from).t(), &mut ds, self.keys, Write::Replace);
            self.softmax_backward(p, &mut ds);
            if let Some(cap) = self.options.softcap {
                self.products(q, k, head, &mut products);
                self.softcap_backward(&products, cap, &mut ds);
            }
            let ds = Matrix::new(&ds, self.queries, self.keys);
            multiply(ds, self.key_view(k, from), &mut dq[at..], self.query_stride(), Write::Replace);
            multiply(ds.t(), self.query_view(q, at), &mut dk[from..], self.key_stride(), Write::Add);
        }
        [dq, dk, dv]
    }

    /// Turns the gradient of the probabilities into that of the products, as if there were no cap, in place.
    fn softmax_backward(&self, probabilities: &[f32], gradient: &mut [f32]) {
        let scale = self.options.scale;
        for (p, g) in probabilities.chunks_exact(self.keys).zip(gradient.chunks_exact_mut(self.keys)) {
            let inner: f32 = p.iter().zip(g.iter()).map(|(p, g)| p * g).sum();
            for (g, p) in g.iter_mut().zip(p) {
                *g = scale * p * (*g - inner);
            }
        }
    }

    /// Multiplies with the slope of the cap, `1 − tanh²(s/c)`.
    fn softcap_backward(&self, products: &[f32], cap: f32, gradient: &mut [f32]) {
        for (g, product) in gradient.iter_mut().zip(products) {
            let tanh = (self.options.scale * product / cap).tanh();
            *g *= 1.0 - tanh * tanh;
        }
    }
}
