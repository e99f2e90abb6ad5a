//! The table in 16-bit integers, and how far scores taken from it can be off.
//!
//! # Contract
//! Rows v ∈ [−1, 1]^d become integers v̄ = round(a·v); a query y becomes ȳ = round(b·y). Both have coordinates of at
//! most L, L² ≤ (2³¹ − 2) / 1.5d, so that with h(v) = ‖v‖²/2, ȳ·v̄ − round(a·b·h) fits 32 bits. Divided by a·b it is
//! within
//!
//! ```text
//! ‖y − ȳ/b‖·max‖v̄/a‖ + ‖y‖·max‖v − v̄/a‖ + 1/ab
//! ```
//!
//! of the score y·v − h(v) (Cauchy & Schwarz, once for each of the two roundings). Every term is measured, not
//! assumed; [`SLACK`] and [`MARGIN`] cover the f64 operations that measure them and that take the exact score.
//!
//! Rows lie in groups of eight words, a group as pairs of coordinates: [`Pairs`] 0 has coordinates 0 and 1 of the eight
//! words, and so on. Tables are filled up with zero rows to whole chunks of 64.

use super::arithmetic::{half_square_norm, norm, round};
use super::lanes::{LANES, Lanes, Pairs, pack};

/// Words whose scores are summed up by one maximum.
pub(super) const CHUNK: usize = 64;
/// Queries that share one pass over a chunk: their sums fit WASM's and AVX2's 16 registers.
pub(super) const TILE: usize = 4;

/// Relative room for the rounding of measured errors, which is a part in 10¹² for 1,024 dimensions.
const SLACK: f64 = 1.001;
/// Absolute room, relative to the sizes that are multiplied: d·2⁻⁵³ is 1.2e-13 for 1,024 dimensions, for each of the exact
/// score, the norms and the differences.
const MARGIN: f64 = 1e-12;

/// Rows as integers: see the [module](self) for the layout.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    dim: usize,
    pairs: usize,
    limit: f64,
    /// Largest coordinate of a row, in size.
    reach: f64,
    /// a.
    scale: f64,
    groups: Vec<Pairs>,
    /// max‖v‖, or a little more.
    largest_norm: f64,
    /// max‖v − v̄/a‖, or a little more.
    largest_error: f64,
}

/// One query as integers, with what it needs to be understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaled {
    /// a·b: sums per unit of score.
    pub(super) scale: f64,
    /// How far a score that is taken from sums can be off, without the 1/ab of a rounded h.
    pub(super) error: f64,
}

/// Four queries: pair by pair, the four of them side by side.
pub(super) type Tile = Vec<[i32; TILE]>;

impl Panels {
    pub(super) fn new(rows: &[f32], dim: usize) -> Self {
        let reach = rows.iter().fold(0.0_f32, |reach, x| reach.max(x.abs()));
        // A table of zeros has no scale of its own.
        let reach = if reach == 0.0 { 1.0 } else { f64::from(reach) };
        let pairs = dim.div_ceil(2);
        // Down by more than the quotient and the root are up. An odd dimension is filled up by a zero.
        let limit = (f64::from(i32::MAX - 1) / (3.0 * pairs as f64)).sqrt().min(f64::from(i16::MAX)) - 1e-3;
        let limit = limit.floor();
        let scale = limit / reach;
        let count = (rows.len() / dim).next_multiple_of(CHUNK);
        let mut panels = Self {
            dim,
            pairs,
            limit,
            reach,
            scale,
            groups: vec![[0; 2 * LANES]; count / LANES * pairs],
            largest_norm: 0.0,
            largest_error: 0.0,
        };
        rows.chunks_exact(dim).enumerate().for_each(|(index, row)| panels.insert(index, row));
        panels
    }

    fn insert(&mut self, index: usize, row: &[f32]) {
        let (group, lane) = (index / LANES * self.pairs, index % LANES);
        let mut square_error = 0.0;
        for (i, &x) in row.iter().enumerate() {
            let integer = round(f64::from(x) * self.scale);
            square_error += (f64::from(x) - integer / self.scale).powi(2);
            self.groups[group + i / 2][2 * lane + i % 2] = integer as i16;
        }
        let norm = (2.0 * half_square_norm(row)).sqrt();
        self.largest_norm = self.largest_norm.max(norm * SLACK);
        self.largest_error = self.largest_error.max(square_error.sqrt() * SLACK + MARGIN * norm);
    }

    /// Words, those that fill up the last chunk included.
    pub(super) fn padded_len(&self) -> usize {
        self.groups.len() / self.pairs * LANES
    }

    /// The largest coordinate of a row, in size; 1 for a table of zeros.
    pub(super) fn largest_coordinate(&self) -> f64 {
        self.reach
    }

    /// max‖v‖, or a little more.
    pub(super) fn largest_norm(&self) -> f64 {
        self.largest_norm
    }

    /// The largest b with which this query's integers fit.
    pub(super) fn query_scale(&self, query: &[f64]) -> f64 {
        self.limit / query.iter().fold(self.reach, |reach, x| reach.max(x.abs()))
    }

    /// a·b: sums per unit of score.
    pub(super) fn sum_scale(&self, query_scale: f64) -> f64 {
        self.scale * query_scale
    }

    /// How far the f64 score of `query` with any row can be off the real number.
    pub(super) fn rounding_error(&self, query_norm: f64) -> f64 {
        MARGIN * (query_norm + self.largest_norm) * self.largest_norm
    }

    /// Writes a query of scale `query_scale` into its place in a tile.
    pub(super) fn quantise(&self, query: &[f64], query_scale: f64, tile: &mut Tile, place: usize) -> Scaled {
        tile.resize(self.pairs, [0; TILE]);
        let mut square_error = 0.0;
        // Within the limit, but for the rounding of a scale.
        let integer = |x: f64| round(x * query_scale).clamp(-self.limit, self.limit);
        for (pair, place) in query.chunks(2).zip(tile.iter_mut().map(|pairs| &mut pairs[place])) {
            square_error += pair.iter().map(|&x| (x - integer(x) / query_scale).powi(2)).sum::<f64>();
            let second = pair.get(1).map_or(0.0, |&x| integer(x));
            *place = pack([integer(pair[0]) as i16, second as i16]);
        }
        let norm = norm(query);
        let own_error = square_error.sqrt() * SLACK + MARGIN * norm;
        let row_norm = self.largest_norm + self.largest_error;
        let error =
            SLACK * (own_error * row_norm + norm * self.largest_error) + 2.0 * self.rounding_error(norm);
        Scaled { scale: self.sum_scale(query_scale), error }
    }

    /// ȳ·v̄ for the four queries of a tile and the eight words of each group of a chunk, each added to the word's number
    /// in `start`.
    #[inline(always)]
    pub(super) fn for_each_group<L: Lanes>(
        &self,
        chunk: usize,
        tile: &Tile,
        start: impl Fn(usize) -> L,
        mut take: impl FnMut(usize, [L; TILE]),
    ) {
        const GROUPS: usize = CHUNK / LANES;
        let groups = &self.groups[chunk * GROUPS * self.pairs..][..GROUPS * self.pairs];
        for (group, panel) in groups.chunks_exact(self.pairs).enumerate() {
            let mut sums = [start(group); TILE];
            for (pairs, queries) in panel.iter().zip(tile) {
                let pairs = L::load(pairs);
                for query in 0..TILE {
                    sums[query] = sums[query].add_products(pairs, L::splat(queries[query]));
                }
            }
            take(group, sums);
        }
    }

    pub(super) fn chunks(&self) -> usize {
        self.padded_len() / CHUNK
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }
}

#[cfg(test)]
#[path = "panels_tests.rs"]
mod tests;
