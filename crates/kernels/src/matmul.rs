//! Products of small strided matrices: attention and the low-rank maps.

use crate::Isa;
use crate::isa::Kind;
use crate::tile::scalar::Scalar;
use crate::tile::{Operands, Tile};
#[cfg(target_arch = "x86_64")]
use crate::tile::{avx2::Avx2, avx512::Avx512};

/// A strided view of `rows × columns` values.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major view without gaps.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Row-major view whose rows start `stride` values apart.
    ///
    /// # Panics
    /// If the view reaches outside of `values`.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "a matrix view reaches outside of its values");
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed view of the same values.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// A row-major view of `rows × columns` values that may be written.
pub struct MatrixMut<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// View without gaps.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// View whose rows start `stride` values apart.
    ///
    /// # Panics
    /// If the view reaches outside of `values`.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, stride), "a matrix view reaches outside of its values");
        Self { values, rows, columns, stride }
    }
}

fn fits(length: usize, rows: usize, columns: usize, stride: usize) -> bool {
    let enough = |l: usize| l <= length;
    rows == 0
        || columns == 0
        || (rows - 1).checked_mul(stride).and_then(|l| l.checked_add(columns)).is_some_and(enough)
}

/// Whether a product replaces or adds to what it is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// C = A·B
    Replace,
    /// C += A·B
    Add,
}

/// `C (+)= A · B` for a B with contiguous rows.
///
/// # Panics
/// If the shapes do not fit or B is a transposed view.
pub fn matmul(isa: Isa, a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>, write: Write) {
    assert!(a.columns == b.rows && c.rows == a.rows && c.columns == b.columns, "shapes of a product differ");
    assert_eq!(b.column_stride, 1, "the right factor must have contiguous rows");
    if c.rows == 0 || c.columns == 0 {
        return;
    }
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => tiles::<Avx2>(a, b, c, write),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 | Kind::Avx512Bf16 => tiles::<Avx512>(a, b, c, write),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => tiles::<crate::tile::neon::Neon>(a, b, c, write),
        Kind::Scalar => tiles::<Scalar>(a, b, c, write),
    }
}

fn tiles<T: Tile>(a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>, write: Write) {
    for column in (0..c.columns).step_by(T::COLUMNS) {
        let columns = T::COLUMNS.min(c.columns - column);
        for row in (0..c.rows).step_by(T::ROWS) {
            let operands = Operands {
                k: a.columns,
                a: a.values.as_ptr().wrapping_add(row * a.row_stride),
                a_row: a.row_stride,
                a_column: a.column_stride,
                b: b.values.as_ptr().wrapping_add(column),
                b_row: b.row_stride,
                c: c.values.as_mut_ptr().wrapping_add(row * c.stride + column),
                c_row: c.stride,
                add: write == Write::Add,
            };
            // SAFETY: the views lie inside of their slices (checked where they were made), their inner and outer dimensions
            // agree (checked in `matmul`), the tile is clipped to them, C is borrowed exclusively, and `Isa` vouches for the
            // instructions.
            unsafe { T::run(T::ROWS.min(c.rows - row), columns, operands) }
        }
    }
}

#[cfg(test)]
#[path = "matmul_tests.rs"]
pub(crate) mod tests;
