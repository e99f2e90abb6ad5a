//! Causal grouped-query attention as one operation.
//!
//! For each query head `h`, whose key and value head is `h / (heads / key_value_heads)`:
//! `P = softmax(mask(Q·Kᵀ/√d))`, `O = P·V`. Heads are strided views into `[t, heads · head_dim]` matrices, so nothing
//! is transposed or repeated. Keys may start before the queries (a cache): the last query sees every key.

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

/// Attention of `q [t, heads · dim]` over `k` and `v [s, key_value_heads · dim]`, `s ≥ t`; result like `q`.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads) -> Result<Tensor> {
    let shape = Shape { heads, queries: q.dim(0)?, keys: k.dim(0)? };
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
    heads: Heads,
    queries: usize,
    keys: usize,
}

impl Shape {
    fn query_stride(&self) -> usize {
        self.heads.query * self.heads.dim
    }

    fn key_stride(&self) -> usize {
        self.heads.key_value * self.heads.dim
    }

    /// First columns of a query head and of the key and value head that it reads.
    fn offsets(&self, head: usize) -> (usize, usize) {
        let group = self.heads.query / self.heads.key_value;
        (head * self.heads.dim, head / group * self.heads.dim)
    }

    fn query_view<'a>(&self, values: &'a [f32], offset: usize) -> Matrix<'a> {
        Matrix::strided(&values[offset..], self.queries, self.heads.dim, self.query_stride())
    }

    fn key_view<'a>(&self, values: &'a [f32], offset: usize) -> Matrix<'a> {
        Matrix::strided(&values[offset..], self.keys, self.heads.dim, self.key_stride())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.heads.dim as f32).sqrt()
    }

    /// Keys that query `row` may see.
    fn visible(&self, row: usize) -> usize {
        self.keys - self.queries + row + 1
    }

    /// The output, and the probabilities `[heads, t, s]` for the way back.
    fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let area = self.queries * self.keys;
        let mut out = vec![0.0; q.len()];
        let mut probabilities = vec![0.0; self.heads.query * area];
        for (head, p) in probabilities.chunks_exact_mut(area).enumerate() {
            let (at, from) = self.offsets(head);
            multiply(self.query_view(q, at), self.key_view(k, from).t(), p, self.keys, Write::Replace);
            self.masked_softmax(p);
            let p = Matrix::new(p, self.queries, self.keys);
            multiply(p, self.key_view(v, from), &mut out[at..], self.query_stride(), Write::Replace);
        }
        (out, probabilities)
    }

    fn masked_softmax(&self, scores: &mut [f32]) {
        let scale = self.scale();
        for (row, values) in scores.chunks_exact_mut(self.keys).enumerate() {
            let (seen, hidden) = values.split_at_mut(self.visible(row));
            let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for value in seen.iter_mut() {
                *value = (scale * (*value - largest)).exp();
                sum += *value;
            }
            let inverse = 1.0 / sum;
            seen.iter_mut().for_each(|value| *value *= inverse);
            hidden.fill(0.0);
        }
    }

    /// `dV = Pᵀ·dO`, `dP = dO·Vᵀ`, `dS = P ∘ (dP − rowsum(P ∘ dP))/√d`, `dQ = dS·K`, `dK = dSᵀ·Q`.
    fn backward(&self, [q, k, v]: [&[f32]; 3], probabilities: &[f32], d_out: &[f32]) -> [Vec<f32>; 3] {
        let area = self.queries * self.keys;
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let mut ds = vec![0.0; area];
        for (head, p) in probabilities.chunks_exact(area).enumerate() {
            let (at, from) = self.offsets(head);
            let d_head = self.query_view(d_out, at);
            let p_view = Matrix::new(p, self.queries, self.keys);
            multiply(p_view.t(), d_head, &mut dv[from..], self.key_stride(), Write::Add);
            multiply(d_head, self.key_view(v, from).t(), &mut ds, self.keys, Write::Replace);
            self.softmax_backward(p, &mut ds);
            let ds = Matrix::new(&ds, self.queries, self.keys);
            multiply(ds, self.key_view(k, from), &mut dq[at..], self.query_stride(), Write::Replace);
            multiply(ds.t(), self.query_view(q, at), &mut dk[from..], self.key_stride(), Write::Add);
        }
        [dq, dk, dv]
    }

    /// Turns the gradient of the probabilities into that of the unscaled scores, in place.
    fn softmax_backward(&self, probabilities: &[f32], gradient: &mut [f32]) {
        let scale = self.scale();
        for (p, g) in probabilities.chunks_exact(self.keys).zip(gradient.chunks_exact_mut(self.keys)) {
            let inner: f32 = p.iter().zip(g.iter()).map(|(p, g)| p * g).sum();
            for (g, p) in g.iter_mut().zip(p) {
                *g = scale * p * (*g - inner);
            }
        }
    }
}
