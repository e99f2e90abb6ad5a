//! Frozen weights, packed once into panels of columns so that a product reads them in order.
//!
//! Panel p of a `k × n` matrix holds its columns `p·w .. (p + 1)·w`, w the width of the instruction set's tile, row after
//! row, the last panel filled up with zeros. In bf16 a row holds pairs of two rows of the matrix.

use crate::isa::Kind;
use crate::tile::scalar::Scalar;
use crate::tile::{Operands, Tile};
#[cfg(target_arch = "x86_64")]
use crate::tile::{avx2::Avx2, avx512::Avx512, bf16, bf16::Bf16};
use crate::{Isa, Matrix, MatrixMut, Write};

/// Words of a cache line.
const LINE: usize = 16;
/// Rows of a panel that are multiplied at a time: a block of 48 columns then takes 72 KiB of the second-level cache.
const BLOCK_ROWS: usize = 384;

/// 16 words that start on a cache line: f32, or pairs of bf16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; LINE]);

/// A packed `k × n` matrix.
pub struct Panels {
    isa: Isa,
    k: usize,
    n: usize,
    /// Rows of a panel: k, or pairs of rows.
    rows: usize,
    lines: Vec<Line>,
    bf16: bool,
}

/// Memory that products reuse from call to call.
#[derive(Default)]
pub struct Scratch {
    pairs: Vec<u32>,
}

impl Scratch {
    /// Words that it holds.
    pub fn words(&self) -> usize {
        self.pairs.len()
    }
}

impl Panels {
    /// Packs `b [k, n]`, rounded to bf16 if asked for where the instruction set multiplies bf16, else as f32.
    pub fn pack(isa: Isa, b: Matrix<'_>, bf16: bool) -> Self {
        let bf16 = bf16 && isa.has_bf16();
        let rows = if bf16 { b.rows.div_ceil(2) } else { b.rows };
        let width = width(isa);
        let panels = b.columns.div_ceil(width);
        let mut lines = vec![Line([0; LINE]); panels * rows * width / LINE];
        for (index, panel) in lines.chunks_exact_mut((rows * width / LINE).max(1)).enumerate() {
            let first = index * width;
            fill(panel, b, first..b.columns.min(first + width), width, bf16);
        }
        Self { isa, k: b.rows, n: b.columns, rows, lines, bf16 }
    }

    /// Bytes that a packed `k × n` matrix takes.
    pub fn bytes_for(isa: Isa, k: usize, n: usize, bf16: bool) -> usize {
        let rows = if bf16 && isa.has_bf16() { k.div_ceil(2) } else { k };
        4 * rows * n.next_multiple_of(width(isa))
    }

    /// Inner dimension and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.k, self.n)
    }

    /// Bytes that the packed values take.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.lines.as_slice())
    }

    /// Whether the values are bf16.
    pub fn is_bf16(&self) -> bool {
        self.bf16
    }

    /// The value at `(row, column)`, found one by one: what the tests hold whole rows against.
    #[cfg(test)]
    fn get(&self, row: usize, column: usize) -> f32 {
        assert!(row < self.k && column < self.n, "an element outside of the matrix");
        let width = width(self.isa);
        let (panel, inside) = (column / width, column % width);
        let word = |row: usize| {
            let at = (panel * self.rows + row) * width + inside;
            self.lines[at / LINE].0[at % LINE]
        };
        if !self.bf16 {
            return f32::from_bits(word(row));
        }
        let pair = word(row / 2);
        f32::from_bits(if row.is_multiple_of(2) { pair << 16 } else { pair & 0xffff_0000 })
    }

    /// Row `row` of the matrix as f32.
    ///
    /// # Panics
    /// If there is no such row or `out` has not n values.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.k && out.len() == self.n, "a row outside of the matrix");
        let width = width(self.isa);
        let word_row = if self.bf16 { row / 2 } else { row };
        for (panel, out) in out.chunks_mut(width).enumerate() {
            let first = (panel * self.rows + word_row) * width / LINE;
            let words = self.lines[first..].iter().flat_map(|line| line.0);
            match (self.bf16, row.is_multiple_of(2)) {
                (false, _) => out.iter_mut().zip(words).for_each(|(o, w)| *o = f32::from_bits(w)),
                (true, true) => out.iter_mut().zip(words).for_each(|(o, w)| *o = f32::from_bits(w << 16)),
                (true, false) => {
                    out.iter_mut().zip(words).for_each(|(o, w)| *o = f32::from_bits(w & 0xffff_0000))
                }
            }
        }
    }

    /// `C (+)= A · B` with the packed B; A has contiguous rows. In bf16 A is rounded to bf16 and products are summed in f32.
    ///
    /// # Panics
    /// If the shapes do not fit or A is a transposed view.
    pub fn multiply(&self, a: Matrix<'_>, c: MatrixMut<'_>, write: Write, scratch: &mut Scratch) {
        assert!(a.columns == self.k && c.rows == a.rows && c.columns == self.n, "shapes of a product differ");
        assert_eq!(a.column_stride, 1, "the left factor must have contiguous rows");
        if c.rows == 0 || c.columns == 0 {
            return;
        }
        if self.bf16 {
            let words = self.rows;
            scratch.pairs.resize((a.rows * words).max(scratch.pairs.len()), 0);
            let pairs = &mut scratch.pairs[..a.rows * words];
            for (row, out) in pairs.chunks_exact_mut(words).enumerate() {
                round(self.isa, &a.values[row * a.row_stride..][..self.k], out);
            }
            return self.blocks(pairs.as_ptr().cast(), words, c, write);
        }
        self.blocks(a.values.as_ptr(), a.row_stride, c, write);
    }

    /// `C (+)= A · B` for an A that [`round`] has rounded: rows of `k.div_ceil(2)` pairs, `stride` words apart.
    ///
    /// # Panics
    /// If the shapes do not fit or the packed values are f32.
    pub fn multiply_pairs(&self, a: &[u32], stride: usize, c: MatrixMut<'_>, write: Write) {
        assert!(self.bf16, "pairs multiply packed bf16");
        let enough = c.rows == 0 || (c.rows - 1) * stride + self.rows <= a.len();
        assert!(enough && c.columns == self.n, "shapes of a product differ");
        if c.rows > 0 && c.columns > 0 {
            self.blocks(a.as_ptr().cast(), stride, c, write);
        }
    }

    fn blocks(&self, a: *const f32, a_row: usize, c: MatrixMut<'_>, write: Write) {
        match self.isa.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => self.tiles::<Avx2>(a, a_row, c, write),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 if self.bf16 => self.tiles::<Bf16>(a, a_row, c, write),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx512Bf16 => self.tiles::<Avx512>(a, a_row, c, write),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.tiles::<crate::tile::neon::Neon>(a, a_row, c, write),
            Kind::Scalar => self.tiles::<Scalar>(a, a_row, c, write),
        }
    }

    /// `a` points to `c.rows` rows of `self.rows` words each, `a_row` words apart.
    fn tiles<T: Tile>(&self, a: *const f32, a_row: usize, c: MatrixMut<'_>, write: Write) {
        let words = self.lines.as_ptr().cast::<f32>();
        let blocks = self.rows.div_ceil(BLOCK_ROWS).max(1);
        let block = self.rows.div_ceil(blocks).max(1);
        for first in (0..self.rows.max(1)).step_by(block) {
            for (panel, column) in (0..c.columns).step_by(T::COLUMNS).enumerate() {
                let columns = T::COLUMNS.min(c.columns - column);
                for row in (0..c.rows).step_by(T::ROWS) {
                    let operands = Operands {
                        k: block.min(self.rows - first),
                        a: a.wrapping_add(row * a_row + first),
                        a_row,
                        a_column: 1,
                        b: words.wrapping_add((panel * self.rows + first) * T::COLUMNS),
                        b_row: T::COLUMNS,
                        c: c.values.as_mut_ptr().wrapping_add(row * c.stride + column),
                        c_row: c.stride,
                        add: write == Write::Add || first > 0,
                    };
                    // SAFETY: both callers checked that A has `c.rows` rows of `self.rows` words and C the columns of the
                    // packed matrix; panels are whole, blocks and tiles are clipped to the shapes, C is borrowed exclusively,
                    // and `Isa` vouches for the instructions.
                    unsafe { T::run(T::ROWS.min(c.rows - row), columns, operands) }
                }
            }
        }
    }
}

/// Columns of a panel.
fn width(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => Avx2::COLUMNS,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 | Kind::Avx512Bf16 => Avx512::COLUMNS,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => crate::tile::neon::Neon::COLUMNS,
        Kind::Scalar => Scalar::COLUMNS,
    }
}

/// Writes the columns of `b` into a zeroed panel, a few rows at a time so that what is written stays in the cache.
fn fill(panel: &mut [Line], b: Matrix<'_>, columns: std::ops::Range<usize>, width: usize, bf16: bool) {
    const ROWS: usize = 64;
    let value = |row: usize, column: usize| {
        if row < b.rows { b.values[row * b.row_stride + column * b.column_stride] } else { 0.0 }
    };
    let rows = if bf16 { b.rows.div_ceil(2) } else { b.rows };
    for first in (0..rows).step_by(ROWS) {
        for (inside, column) in columns.clone().enumerate() {
            for row in first..rows.min(first + ROWS) {
                let word = match bf16 {
                    true => pair(value(2 * row, column), value(2 * row + 1, column)),
                    false => value(row, column).to_bits(),
                };
                let at = row * width + inside;
                panel[at / LINE].0[at % LINE] = word;
            }
        }
    }
}

/// Rounds `values` to pairs of bf16, to nearest even.
///
/// # Panics
/// If the instruction set has no bf16 or `out` has not `values.len().div_ceil(2)` words.
pub fn round(isa: Isa, values: &[f32], out: &mut [u32]) {
    assert!(isa.has_bf16(), "{isa:?} has no bf16");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: checked just above.
    unsafe {
        bf16::round(values, out);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, out);
}

/// Two values as bf16 in one word, the first in the low half.
pub(crate) fn pair(low: f32, high: f32) -> u32 {
    u32::from(nearest_bf16(low)) | u32::from(nearest_bf16(high)) << 16
}

/// To nearest even; NaN stays NaN; denormals become zero, as the processor's own rounding does.
fn nearest_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    if value.is_subnormal() {
        return (bits >> 16) as u16 & 0x8000;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
#[path = "panels_tests.rs"]
mod tests;
