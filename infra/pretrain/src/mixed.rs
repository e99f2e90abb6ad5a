//! Matrix products in mixed precision: bf16 operands, f32 sums, by AVX-512-BF16.
//!
//! `VDPBF16PS` multiplies two bf16 pairs and adds both products to an f32, twice the work of an f32 FMA. Both operands
//! are packed first: *lanes* (rows of the left, columns of the right operand) are cut into panels, and a panel holds,
//! for each pair of depths, the pairs of all its lanes side by side. The inner kernel only knows full tiles; the
//! store masks what lies outside the matrix.

use std::arch::x86_64::{
    __m512, __m512bh, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_epi32, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};
use std::cell::RefCell;

use pulp::Arch;

use crate::matmul::{Matrix, MatrixMut};

/// Rows of a tile. 6 × 4 accumulators, 4 loaded columns and one broadcast use 29 of the 32 registers.
const ROWS: usize = 6;
/// f32 in a register.
const LANES: usize = 16;
/// Registers across a tile.
const VECTORS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = VECTORS * LANES;
/// Depth pairs taken at once: a block of a right panel is then 32 KB, about the first-level cache.
const BLOCK: usize = 128;

/// Whether this processor can do it.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

thread_local! {
    /// Packed operands, kept to spare their allocation in each product.
    static PACKED: RefCell<(Vec<u32>, Vec<u32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// `destination ← left · right`, or `destination += left · right`. Each operand must be contiguous along one side.
///
/// # Panics
/// If the processor lacks the instructions or the shapes do not fit.
pub(crate) fn product(destination: MatrixMut, left: Matrix, right: Matrix, accumulate: bool) {
    assert!(available(), "this processor lacks AVX-512-BF16");
    assert_eq!((left.rows, left.columns, right.columns), (destination.rows, right.rows, destination.columns));
    let pairs = left.columns.div_ceil(2);
    PACKED.with_borrow_mut(|(left_packed, right_packed)| {
        pack::<ROWS>(left_packed, left);
        pack::<COLUMNS>(right_packed, right.transposed());
        for start in (0..pairs).step_by(BLOCK) {
            let block = start..pairs.min(start + BLOCK);
            let add = accumulate || start > 0;
            multiply(
                &mut MatrixMut { data: &mut *destination.data, ..destination },
                left_packed,
                right_packed,
                pairs,
                block,
                add,
            );
        }
    });
}

/// One block of depths: every tile of the destination.
fn multiply(
    destination: &mut MatrixMut,
    left: &[u32],
    right: &[u32],
    pairs: usize,
    block: std::ops::Range<usize>,
    accumulate: bool,
) {
    for (j, right) in right.chunks_exact(pairs * COLUMNS).enumerate() {
        let right = &right[block.start * COLUMNS..block.end * COLUMNS];
        for (i, left) in left.chunks_exact(pairs * ROWS).enumerate() {
            let left = &left[block.start * ROWS..block.end * ROWS];
            let (row, column) = (i * ROWS, j * COLUMNS);
            let tile = MatrixMut {
                data: &mut destination.data[row * destination.row_stride + column..],
                rows: ROWS.min(destination.rows - row),
                columns: COLUMNS.min(destination.columns - column),
                row_stride: destination.row_stride,
            };
            // SAFETY: `product` checked that the processor has the instructions.
            unsafe { store(tile, &tile_product(left, right), accumulate) };
        }
    }
}

/// The sums of one tile over the depths of two packed blocks.
#[target_feature(enable = "avx512f,avx512bf16")]
fn tile_product(left: &[u32], right: &[u32]) -> [[__m512; VECTORS]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    let (left, right) = (left.as_chunks::<ROWS>().0, right.as_chunks::<COLUMNS>().0);
    for (left, right) in left.iter().zip(right) {
        // SAFETY: register v reads elements 16·v to 16·v + 15 of the 64 in `right`; the transmutes only rename a
        // 512-bit register's type.
        let columns: [__m512bh; VECTORS] = std::array::from_fn(|v| unsafe {
            std::mem::transmute(_mm512_loadu_epi32(right.as_ptr().add(v * LANES).cast()))
        });
        for (sums, pair) in sums.iter_mut().zip(left) {
            // SAFETY: as above.
            let pair: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(*pair as i32)) };
            for (sum, columns) in sums.iter_mut().zip(columns) {
                *sum = _mm512_dpbf16_ps(*sum, columns, pair);
            }
        }
    }
    sums
}

/// Writes a tile, or adds it, leaving out what lies beyond the destination's edges.
#[target_feature(enable = "avx512f")]
fn store(tile: MatrixMut, sums: &[[__m512; VECTORS]; ROWS], accumulate: bool) {
    assert!((tile.rows - 1) * tile.row_stride + tile.columns <= tile.data.len());
    for (row, sums) in sums.iter().enumerate().take(tile.rows) {
        for (vector, sum) in sums.iter().enumerate() {
            let width = tile.columns.saturating_sub(vector * LANES).min(LANES);
            let mask = ((1_u32 << width) - 1) as u16;
            // SAFETY: the mask ends at the tile's last column, and the tile's last element lies inside the slice by
            // the assertion above; masked-out elements are neither read nor written.
            unsafe {
                let at = tile.data.as_mut_ptr().wrapping_add(row * tile.row_stride + vector * LANES);
                let sum =
                    if accumulate { _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, at)) } else { *sum };
                _mm512_mask_storeu_ps(at, mask, sum);
            }
        }
    }
}

/// Packs a matrix whose rows are the lanes and whose columns are the depths into panels of `WIDTH` lanes.
fn pack<const WIDTH: usize>(packed: &mut Vec<u32>, source: Matrix) {
    let pairs = source.columns.div_ceil(2);
    // Whatever an earlier product left in the lanes beyond the edge only reaches sums that are never stored.
    packed.resize(source.rows.div_ceil(WIDTH) * pairs * WIDTH, 0);
    for (p, panel) in packed.chunks_exact_mut(pairs * WIDTH).enumerate() {
        let first = p * WIDTH;
        let lanes = first..source.rows.min(first + WIDTH);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                if source.row_stride == 1 {
                    pack_across::<WIDTH>(panel, source, lanes);
                } else {
                    pack_along::<WIDTH>(panel, source, lanes);
                }
            },
        );
    }
}

/// Packs a panel whose lanes lie side by side in memory.
#[inline(always)]
fn pack_across<const WIDTH: usize>(panel: &mut [u32], source: Matrix, lanes: std::ops::Range<usize>) {
    for (pair, out) in panel.chunks_exact_mut(WIDTH).enumerate() {
        let at = 2 * pair * source.column_stride;
        let even = &source.data[at..][lanes.clone()];
        if 2 * pair + 1 < source.columns {
            let odd = &source.data[at + source.column_stride..][lanes.clone()];
            for ((out, even), odd) in out.iter_mut().zip(even).zip(odd) {
                *out = u32::from(round(*even)) | u32::from(round(*odd)) << 16;
            }
        } else {
            out.iter_mut().zip(even).for_each(|(out, even)| *out = u32::from(round(*even)));
        }
    }
}

/// Packs a panel whose depths lie side by side in memory.
#[inline(always)]
fn pack_along<const WIDTH: usize>(panel: &mut [u32], source: Matrix, lanes: std::ops::Range<usize>) {
    assert_eq!(source.column_stride, 1, "an operand must be contiguous along rows or columns");
    // Depths rounded at a time: first a loop the compiler turns into SIMD, then the scatter.
    const STEP: usize = 128;
    let mut rounded = [0_u16; STEP];
    for (out, lane) in lanes.enumerate() {
        let row = &source.data[lane * source.row_stride..][..source.columns];
        for (step, values) in row.chunks(STEP).enumerate() {
            rounded.fill(0);
            rounded.iter_mut().zip(values).for_each(|(to, from)| *to = round(*from));
            let panel = &mut panel[step * STEP / 2 * WIDTH + out..];
            for (to, [even, odd]) in
                panel.iter_mut().step_by(WIDTH).zip(rounded.as_chunks::<2>().0).take(values.len().div_ceil(2))
            {
                *to = u32::from(*even) | u32::from(*odd) << 16;
            }
        }
    }
}

/// Nearest bf16, ties to even, as its bits. For finite values.
#[inline(always)]
fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
#[path = "mixed_tests.rs"]
mod tests;
