//! AVX2 and FMA: 6 × 16 values of C in 12 of the 16 registers.

use std::arch::x86_64::*;

use super::{Operands, Tile, with_rows};

pub(crate) struct Avx2;

/// f32 of one register.
const LANES: usize = 8;

impl Tile for Avx2 {
    const ROWS: usize = 6;
    const COLUMNS: usize = 2 * LANES;

    unsafe fn run(rows: usize, columns: usize, o: Operands) {
        // SAFETY: the contract is passed on.
        unsafe {
            match columns {
                Self::COLUMNS => with_rows!(rows, [1 2 3 4 5 6], R => full::<R>(o)),
                9.. => with_rows!(rows, [1 2 3 4 5 6], R => masked::<R, 2>(columns, o)),
                _ => with_rows!(rows, [1 2 3 4 5 6], R => masked::<R, 1>(columns, o)),
            }
        }
    }
}

/// A tile of all 16 columns.
///
/// # Safety
/// That of [`Tile::run`], with `rows = R` and `columns = 16`.
#[target_feature(enable = "avx2,fma")]
unsafe fn full<const R: usize>(o: Operands) {
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    let (mut a, mut b) = (o.a, o.b);
    for _ in 0..o.k {
        // SAFETY: row `l` of B has 16 columns, and column `l` of A has R rows, for every `l < k`.
        unsafe {
            let row = [_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(LANES))];
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = _mm256_set1_ps(*a.add(i * o.a_row));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = _mm256_fmadd_ps(a, b, *sum);
                }
            }
        }
        // One past the last row is never read.
        (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
    }
    for (i, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: row `i < R` of C has 16 columns.
            unsafe {
                let c = o.c.add(i * o.c_row + v * LANES);
                let value = if o.add { _mm256_add_ps(sum, _mm256_loadu_ps(c)) } else { sum };
                _mm256_storeu_ps(c, value);
            }
        }
    }
}

/// A tile of fewer columns, in V registers a row of which the last may be partly used.
///
/// # Safety
/// That of [`Tile::run`], with `rows = R` and `8·(V − 1) < columns ≤ 8·V`.
#[target_feature(enable = "avx2,fma")]
unsafe fn masked<const R: usize, const V: usize>(columns: usize, o: Operands) {
    let mut masks = [_mm256_setzero_si256(); V];
    for (v, mask) in masks.iter_mut().enumerate() {
        *mask = lanes(columns - v * LANES);
    }
    let mut sums = [[_mm256_setzero_ps(); V]; R];
    let (mut a, mut b) = (o.a, o.b);
    for _ in 0..o.k {
        // SAFETY: masked lanes are not read; the others are columns of row `l < k` of B. A as above.
        unsafe {
            let mut row = [_mm256_setzero_ps(); V];
            for (v, row) in row.iter_mut().enumerate() {
                *row = _mm256_maskload_ps(b.add(v * LANES), masks[v]);
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = _mm256_set1_ps(*a.add(i * o.a_row));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = _mm256_fmadd_ps(a, b, *sum);
                }
            }
        }
        (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
    }
    for (i, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: lanes that are not set are neither read nor written.
            unsafe {
                let c = o.c.wrapping_add(i * o.c_row + v * LANES);
                let old = if o.add { _mm256_maskload_ps(c, masks[v]) } else { _mm256_setzero_ps() };
                _mm256_maskstore_ps(c, masks[v], _mm256_add_ps(sum, old));
            }
        }
    }
}

/// A mask of the first `count` lanes, all 8 at most.
#[target_feature(enable = "avx2")]
fn lanes(count: usize) -> __m256i {
    let set = |lane: usize| if lane < count { -1 } else { 0 };
    _mm256_setr_epi32(set(0), set(1), set(2), set(3), set(4), set(5), set(6), set(7))
}
