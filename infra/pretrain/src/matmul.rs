//! Matrix products over borrowed, strided views, in f32 by the `gemm` crate or in mixed precision by [`mixed`].

use gemm::Parallelism;

use crate::mixed;

/// How the operands of a product are held; sums are f32 in any case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Precision {
    /// f32 operands.
    Single,
    /// Operands rounded to bf16: about 1.7 times as fast.
    Mixed,
}

impl Precision {
    /// Mixed where the processor can do it, else single.
    pub(crate) fn fastest() -> Self {
        if mixed::available() { Self::Mixed } else { Self::Single }
    }
}

/// A read-only matrix inside a slice; element `(r, c)` is `data[r·row_stride + c·column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A contiguous row-major matrix.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    ///
    /// # Panics
    /// If the last element lies outside `data`.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving data.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix to write to.
pub(crate) struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A contiguous row-major matrix.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    ///
    /// # Panics
    /// If rows overlap or the last element lies outside `data`.
    pub(crate) fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride, "rows of {columns} elements overlap at stride {row_stride}");
        assert_fits(data.len(), rows, columns, row_stride);
        Self { data, rows, columns, row_stride }
    }

    /// `self ← left · right`.
    pub(crate) fn assign_product(self, left: Matrix, right: Matrix, precision: Precision) {
        self.product(left, right, precision, false);
    }

    /// `self ← self + left · right`.
    pub(crate) fn add_product(self, left: Matrix, right: Matrix, precision: Precision) {
        self.product(left, right, precision, true);
    }

    fn product(self, left: Matrix, right: Matrix, precision: Precision, accumulate: bool) {
        assert_eq!(
            (self.rows, self.columns, left.columns),
            (left.rows, right.columns, right.rows),
            "matrix shapes"
        );
        match precision {
            Precision::Single => self.product_f32(left, right, accumulate),
            Precision::Mixed => mixed::product(self, left, right, accumulate),
        }
    }

    fn product_f32(self, left: Matrix, right: Matrix, accumulate: bool) {
        // SAFETY: the constructors checked that every element of the three views lies inside its slice, the shapes
        // agree (`product` checked), and `self` is borrowed exclusively, so it aliases neither operand.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                left.columns,
                self.data.as_mut_ptr(),
                1,
                self.row_stride as isize,
                accumulate,
                left.data.as_ptr(),
                left.column_stride as isize,
                left.row_stride as isize,
                right.data.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

fn assert_fits(length: usize, rows: usize, columns: usize, row_stride: usize) {
    assert!(rows > 0 && columns > 0, "empty matrix {rows}×{columns}");
    assert!((rows - 1) * row_stride + columns <= length, "{rows}×{columns} exceeds a slice of {length}");
}

#[cfg(test)]
#[path = "matmul_tests.rs"]
mod tests;
