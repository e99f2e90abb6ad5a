//! AVX-512: 8 × 48 values of C in 24 of the 32 registers.

use std::arch::x86_64::*;

use super::{Operands, Tile, with_rows};

pub(crate) struct Avx512;

/// f32 of one register.
const LANES: usize = 16;

impl Tile for Avx512 {
    const ROWS: usize = 8;
    const COLUMNS: usize = 3 * LANES;

    unsafe fn run(rows: usize, columns: usize, o: Operands) {
        // SAFETY: the contract is passed on.
        unsafe {
            match columns {
                Self::COLUMNS => with_rows!(rows, [1 2 3 4 5 6 7 8], R => full::<R>(o)),
                33.. => with_rows!(rows, [1 2 3 4 5 6 7 8], R => masked::<R, 3>(columns, o)),
                17.. => with_rows!(rows, [1 2 3 4 5 6 7 8], R => masked::<R, 2>(columns, o)),
                _ => with_rows!(rows, [1 2 3 4 5 6 7 8], R => masked::<R, 1>(columns, o)),
            }
        }
    }
}

/// A tile of all 48 columns.
///
/// # Safety
/// That of [`Tile::run`], with `rows = R` and `columns = 48`.
#[target_feature(enable = "avx512f")]
unsafe fn full<const R: usize>(o: Operands) {
    let mut sums = [[_mm512_setzero_ps(); 3]; R];
    let (mut a, mut b) = (o.a, o.b);
    for _ in 0..o.k {
        // SAFETY: row `l` of B has 48 columns, and column `l` of A has R rows, for every `l < k`.
        unsafe {
            let row = [_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(LANES)), _mm512_loadu_ps(b.add(2 * LANES))];
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = _mm512_set1_ps(*a.add(i * o.a_row));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = _mm512_fmadd_ps(a, b, *sum);
                }
            }
        }
        // One past the last row is never read.
        (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
    }
    for (i, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: row `i < R` of C has 48 columns.
            unsafe {
                let c = o.c.add(i * o.c_row + v * LANES);
                let value = if o.add { _mm512_add_ps(sum, _mm512_loadu_ps(c)) } else { sum };
                _mm512_storeu_ps(c, value);
            }
        }
    }
}

/// A tile of fewer columns, in V registers a row of which the last may be partly used.
///
/// # Safety
/// That of [`Tile::run`], with `rows = R` and `16·(V − 1) < columns ≤ 16·V`.
#[target_feature(enable = "avx512f")]
unsafe fn masked<const R: usize, const V: usize>(columns: usize, o: Operands) {
    let mut masks = [0; V];
    masks.iter_mut().enumerate().for_each(|(v, mask)| *mask = lanes(columns - v * LANES));
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    let (mut a, mut b) = (o.a, o.b);
    for _ in 0..o.k {
        // SAFETY: masked lanes are not read; the others are columns of row `l < k` of B. A as above.
        unsafe {
            let mut row = [_mm512_setzero_ps(); V];
            for (v, row) in row.iter_mut().enumerate() {
                *row = _mm512_maskz_loadu_ps(masks[v], b.add(v * LANES));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = _mm512_set1_ps(*a.add(i * o.a_row));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = _mm512_fmadd_ps(a, b, *sum);
                }
            }
        }
        (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
    }
    // SAFETY: the contract is passed on.
    unsafe { store(sums, masks, o) }
}

/// Writes, or adds, the first lanes of every register to C.
///
/// # Safety
/// That of [`Tile::run`] for R rows and the columns whose lanes are set.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store<const R: usize, const V: usize>(
    sums: [[__m512; V]; R],
    masks: [__mmask16; V],
    o: Operands,
) {
    for (i, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: lanes that are not set are neither read nor written.
            unsafe {
                let c = o.c.wrapping_add(i * o.c_row + v * LANES);
                let old = if o.add { _mm512_maskz_loadu_ps(masks[v], c) } else { _mm512_setzero_ps() };
                _mm512_mask_storeu_ps(c, masks[v], _mm512_add_ps(sum, old));
            }
        }
    }
}

/// A mask of the first `count` lanes, all 16 at most.
pub(super) fn lanes(count: usize) -> __mmask16 {
    match count {
        LANES.. => !0,
        _ => (1 << count) - 1,
    }
}
