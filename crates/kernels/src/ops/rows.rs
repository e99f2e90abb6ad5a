//! Sums, copies and reductions of whole buffers.

use super::sum;
use crate::isa::for_each_isa;

for_each_isa! {
    /// `Σ aᵢ·bᵢ` over the shorter length.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        let length = a.len().min(b.len());
        let (a, b) = (&a[..length], &b[..length]);
        sum(length, |i| a[i] * b[i])
    }

    /// `x += y`
    pub fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }

    /// `x *= factor`
    pub fn scale(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }

    /// Adds `row` to each row of x; rows are as long as `row`.
    pub fn add_to_rows(x: &mut [f32], row: &[f32]) {
        for x in x.chunks_exact_mut(row.len()) {
            for (x, y) in x.iter_mut().zip(row) {
                *x += y;
            }
        }
    }

    /// Writes the transpose of `columns` values of each of `rows` rows of x, which start `stride` values apart, into
    /// `y [columns, rows]`.
    pub fn transpose(x: &[f32], rows: usize, columns: usize, stride: usize, y: &mut [f32]) {
        // Squares of 16 × 16: each cache line of either side is used whole while it is there.
        const SIDE: usize = 16;
        let y = &mut y[..rows * columns];
        for first_row in (0..rows).step_by(SIDE) {
            for first_column in (0..columns).step_by(SIDE) {
                for column in first_column..columns.min(first_column + SIDE) {
                    for row in first_row..rows.min(first_row + SIDE) {
                        y[column * rows + row] = x[row * stride + column];
                    }
                }
            }
        }
    }
}
