//! AVX-512-BF16: 8 × 48 values of C from pairs of bf16, summed in f32.
//!
//! The operands are pairs of neighbouring values of the inner dimension, one pair in each 32 bits, so A and B have the form
//! of [`Operands`] with pairs in the place of values.

use std::arch::x86_64::*;

use super::avx512::{lanes, store};
use super::{Operands, Tile, with_rows};

pub(crate) struct Bf16;

/// Pairs of one register.
const LANES: usize = 16;

impl Tile for Bf16 {
    const ROWS: usize = 8;
    const COLUMNS: usize = 3 * LANES;

    /// `k`, the strides of A and B and the pointers count pairs. A row of B has all 48 columns, whatever `columns` is.
    unsafe fn run(rows: usize, columns: usize, o: Operands) {
        // SAFETY: the contract is passed on.
        unsafe { with_rows!(rows, [1 2 3 4 5 6 7 8], R => pairs::<R>(columns, o)) }
    }
}

/// # Safety
/// That of [`Tile::run`] with `rows = R`, and of [`Bf16::run`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn pairs<const R: usize>(columns: usize, o: Operands) {
    let mut sums = [[_mm512_setzero_ps(); 3]; R];
    let (mut a, mut b) = (o.a.cast::<i32>(), o.b.cast::<i32>());
    for _ in 0..o.k {
        // SAFETY: row `l` of B has 48 pairs, and column `l` of A has R rows, for every `l < k`.
        unsafe {
            let row = [load(b), load(b.add(LANES)), load(b.add(2 * LANES))];
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = bits(_mm512_set1_epi32(*a.add(i * o.a_row)));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = _mm512_dpbf16_ps(*sum, a, b);
                }
            }
        }
        // One past the last row is never read.
        (a, b) = (a.wrapping_add(o.a_column), b.wrapping_add(o.b_row));
    }
    if columns == Bf16::COLUMNS {
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
        return;
    }
    let masks = [0, 1, 2].map(|v| lanes(columns.saturating_sub(v * LANES)));
    // SAFETY: the contract is passed on.
    unsafe { store(sums, masks, o) }
}

/// The same register as pairs of bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
fn bits(words: __m512i) -> __m512bh {
    // SAFETY: both types are 512 plain bits.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(words) }
}

/// # Safety
/// 16 words may be read from `from`.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn load(from: *const i32) -> __m512bh {
    // SAFETY: the contract is passed on.
    bits(unsafe { _mm512_loadu_epi32(from) })
}

/// Rounds `values` to bf16, to nearest even, two in each word, the first in the low half; an odd last one is paired with 0.
///
/// # Safety
/// The processor has AVX-512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(crate) unsafe fn round(values: &[f32], out: &mut [u32]) {
    assert_eq!(out.len(), values.len().div_ceil(2));
    let whole = values.len() / (2 * LANES);
    for block in 0..whole {
        // SAFETY: both blocks are whole; both types of the register are 512 plain bits.
        unsafe {
            let from = values.as_ptr().add(block * 2 * LANES);
            let pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from.add(LANES)), _mm512_loadu_ps(from));
            _mm512_storeu_epi32(
                out.as_mut_ptr().add(block * LANES).cast(),
                std::mem::transmute::<__m512bh, __m512i>(pairs),
            );
        }
    }
    let rest = values[whole * 2 * LANES..].chunks(2);
    for (word, pair) in out[whole * LANES..].iter_mut().zip(rest) {
        *word = crate::panels::pair(pair[0], pair.get(1).copied().unwrap_or(0.0));
    }
}
