//! Causal grouped-query attention, a block of queries at a time, so that no `[t, t]` matrix is ever whole (the forward and
//! backward of Dao et al. 2022, algorithms 1 and 4, without its tiling of the keys: a block's scores fit the cache).
//!
//! Queries, keys and values lie side by side in rows `q | k | v`. The way back computes the scores again; only the
//! logarithms of the sums of exponentials are kept.

use kernels::{Isa, Matrix, MatrixMut, Write, matmul, ops};

use crate::model::ModelConfig;
use crate::model::architecture::AttentionKind;

/// Queries of a block.
pub(super) const QUERIES: usize = 32;

/// Sizes and rules of one block's attention.
pub(crate) struct Attention {
    isa: Isa,
    heads: usize,
    /// Query heads that share a key and value head.
    group: usize,
    dim: usize,
    scale: f32,
    cap: Option<f32>,
    window: usize,
}

#[derive(Default)]
pub(crate) struct AttentionScratch {
    scores: Vec<f32>,
    gradient: Vec<f32>,
    /// `[dim, t]` of the present key and value head.
    keys: Vec<f32>,
    values: Vec<f32>,
    levels: Vec<f32>,
}

#[cfg(test)]
impl AttentionScratch {
    /// Values that it holds.
    pub(crate) fn values(&self) -> usize {
        self.scores.len() + self.gradient.len() + self.keys.len() + self.values.len()
    }
}

/// A block of queries: its rows, and the keys that any of them sees.
struct Tile {
    first: usize,
    rows: usize,
    first_key: usize,
    keys: usize,
}

impl Attention {
    pub(crate) fn new(isa: Isa, config: &ModelConfig, kind: AttentionKind) -> Self {
        Self {
            isa,
            heads: config.num_attention_heads,
            group: config.num_attention_heads / config.num_key_value_heads,
            dim: config.head_dim,
            scale: config.attention_scale as f32,
            cap: config.attention_softcap.map(|cap| cap as f32),
            window: kind.window.unwrap_or(usize::MAX),
        }
    }

    fn query_width(&self) -> usize {
        self.heads * self.dim
    }

    /// Width of a row `q | k | v`.
    fn width(&self) -> usize {
        self.query_width() + 2 * self.query_width() / self.group
    }

    /// Columns of a query head, and of the key and value head that it reads.
    fn columns(&self, head: usize) -> [usize; 3] {
        let keys = self.query_width() + head / self.group * self.dim;
        [head * self.dim, keys, keys + self.query_width() / self.group]
    }

    fn tiles(&self, t: usize) -> impl Iterator<Item = Tile> + use<> {
        let window = self.window;
        (0..t).step_by(QUERIES).map(move |first| {
            let rows = QUERIES.min(t - first);
            let first_key = (first + 1).saturating_sub(window);
            Tile { first, rows, first_key, keys: first + rows - first_key }
        })
    }

    fn span(&self, tile: &Tile) -> ops::Span {
        ops::Span {
            first_query: tile.first,
            first_key: tile.first_key,
            window: self.window,
            scale: self.scale,
            cap: self.cap,
        }
    }

    /// The output `[t, heads · dim]` of rows `q | k | v`; leaves `[heads, t]` logarithms of sums in `log_sums`.
    pub(crate) fn forward(
        &self,
        rows: &[f32],
        out: &mut [f32],
        log_sums: &mut [f32],
        s: &mut AttentionScratch,
    ) {
        let (isa, dim, width) = (self.isa, self.dim, self.width());
        let t = rows.len() / width;
        s.scores.resize(QUERIES * t, 0.0);
        s.keys.resize(dim * t, 0.0);
        for head in 0..self.heads {
            let [q, k, v] = self.columns(head);
            if head % self.group == 0 {
                ops::transpose(isa, &rows[k..], t, dim, width, &mut s.keys);
            }
            for tile in self.tiles(t) {
                self.products(&rows[q..], width, &s.keys, &tile, t, &mut s.scores);
                let sums = &mut log_sums[head * t + tile.first..][..tile.rows];
                let span = self.span(&tile);
                ops::attention_probabilities(isa, &mut s.scores, tile.keys, tile.keys, span, sums);
                let p = Matrix::new(&s.scores, tile.rows, tile.keys);
                let values = Matrix::strided(&rows[tile.first_key * width + v..], tile.keys, dim, width);
                let at = tile.first * self.query_width() + head * dim;
                let out = MatrixMut::strided(&mut out[at..], tile.rows, dim, self.query_width());
                matmul(isa, p, values, out, Write::Replace);
            }
        }
    }

    /// `x · yᵀ [rows, keys]` for a block's rows of x and the transposed y `[dim, t]`.
    fn products(&self, x: &[f32], stride: usize, y: &[f32], tile: &Tile, t: usize, out: &mut [f32]) {
        let x = Matrix::strided(&x[tile.first * stride..], tile.rows, self.dim, stride);
        let y = Matrix::strided(&y[tile.first_key..], self.dim, tile.keys, t);
        matmul(self.isa, x, y, MatrixMut::new(out, tile.rows, tile.keys), Write::Replace);
    }

    /// The gradient of rows `q | k | v`, given what [`forward`](Self::forward) returned and the gradient of its output:
    /// `dV = Pᵀ·dO`, `dP = dO·Vᵀ`, `dQ = dS·K`, `dK = dSᵀ·Q`.
    pub(crate) fn backward(
        &self,
        rows: &[f32],
        (out, log_sums): (&[f32], &[f32]),
        d_out: &[f32],
        d_rows: &mut [f32],
        s: &mut AttentionScratch,
    ) {
        let (isa, dim, width, query_width) = (self.isa, self.dim, self.width(), self.query_width());
        let t = rows.len() / width;
        s.scores.resize(QUERIES * t, 0.0);
        s.gradient.resize(QUERIES * t, 0.0);
        s.keys.resize(dim * t, 0.0);
        s.values.resize(dim * t, 0.0);
        d_rows.chunks_exact_mut(width).for_each(|row| row[query_width..].fill(0.0));
        for head in 0..self.heads {
            let [q, k, v] = self.columns(head);
            if head % self.group == 0 {
                ops::transpose(isa, &rows[k..], t, dim, width, &mut s.keys);
                ops::transpose(isa, &rows[v..], t, dim, width, &mut s.values);
            }
            for tile in self.tiles(t) {
                self.products(&rows[q..], width, &s.keys, &tile, t, &mut s.scores);
                self.products(&d_out[head * dim..], query_width, &s.values, &tile, t, &mut s.gradient);
                self.levels(out, d_out, head, &tile, &mut s.levels);
                let sums = &log_sums[head * t + tile.first..][..tile.rows];
                let (span, columns) = (self.span(&tile), tile.keys);
                let (p, ds) = (&mut s.scores, &mut s.gradient);
                ops::attention_scores_backward(isa, p, ds, columns, columns, span, sums, &s.levels);

                let (p, ds) = (Matrix::new(p, tile.rows, columns), Matrix::new(ds, tile.rows, columns));
                let block = |from: usize, rows_from: usize, count: usize| {
                    Matrix::strided(&rows[rows_from * width + from..], count, dim, width)
                };
                let keys = block(k, tile.first_key, columns);
                let queries = block(q, tile.first, tile.rows);
                let d_out = &d_out[tile.first * query_width + head * dim..];
                let d_out = Matrix::strided(d_out, tile.rows, dim, query_width);
                let mut write = |from: usize, first: usize, a: Matrix<'_>, b: Matrix<'_>, count, write| {
                    let out = MatrixMut::strided(&mut d_rows[first * width + from..], count, dim, width);
                    matmul(isa, a, b, out, write);
                };
                write(q, tile.first, ds, keys, tile.rows, Write::Replace);
                write(k, tile.first_key, ds.t(), queries, columns, Write::Add);
                write(v, tile.first_key, p.t(), d_out, columns, Write::Add);
            }
        }
    }

    /// `Σ P ∘ dP` of each row, which is `Σ O ∘ dO`.
    fn levels(&self, out: &[f32], d_out: &[f32], head: usize, tile: &Tile, levels: &mut Vec<f32>) {
        let row = |index: usize| {
            let at = index * self.query_width() + head * self.dim;
            ops::dot(self.isa, &out[at..at + self.dim], &d_out[at..at + self.dim])
        };
        levels.clear();
        levels.extend((tile.first..tile.first + tile.rows).map(row));
    }
}
