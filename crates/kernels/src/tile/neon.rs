//! Advanced SIMD of arm64: 6 × 16 values of C in 24 of the 32 registers.

use std::arch::aarch64::*;

use super::scalar::Scalar;
use super::{Operands, Tile, with_rows};

pub(crate) struct Neon;

/// f32 of one register.
const LANES: usize = 4;

impl Tile for Neon {
    const ROWS: usize = 6;
    const COLUMNS: usize = 4 * LANES;

    unsafe fn run(rows: usize, columns: usize, o: Operands) {
        // SAFETY: the contract is passed on.
        unsafe {
            match columns {
                Self::COLUMNS => with_rows!(rows, [1 2 3 4 5 6], R => registers::<R, 4>(o)),
                12 => with_rows!(rows, [1 2 3 4 5 6], R => registers::<R, 3>(o)),
                8 => with_rows!(rows, [1 2 3 4 5 6], R => registers::<R, 2>(o)),
                4 => with_rows!(rows, [1 2 3 4 5 6], R => registers::<R, 1>(o)),
                _ => Scalar::run(rows, columns, o),
            }
        }
    }
}

/// A tile of V whole registers a row.
///
/// # Safety
/// That of [`Tile::run`], with `rows = R` and `columns = 4·V`.
unsafe fn registers<const R: usize, const V: usize>(o: Operands) {
    // SAFETY: arm64 has these instructions; row `l` of B has 4·V columns, column `l` of A has R rows for every `l < k`, and
    // row `i < R` of C has 4·V columns.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); V]; R];
        let (mut a, mut b) = (o.a, o.b);
        for _ in 0..o.k {
            let mut row = [vdupq_n_f32(0.0); V];
            for (v, row) in row.iter_mut().enumerate() {
                *row = vld1q_f32(b.add(v * LANES));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = vld1q_dup_f32(a.add(i * o.a_row));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = vfmaq_f32(*sum, a, b);
                }
            }
            (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
        }
        for (i, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let c = o.c.add(i * o.c_row + v * LANES);
                vst1q_f32(c, if o.add { vaddq_f32(sum, vld1q_f32(c)) } else { sum });
            }
        }
    }
}
