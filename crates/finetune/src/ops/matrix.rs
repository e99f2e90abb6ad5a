//! Single-threaded matrix products over strided slices.
//!
//! One place calls the `gemm` crate, always on the calling thread: the trainer runs one record per thread, and a sum
//! whose order depended on the number of threads would make a resumed run differ from one that never stopped.

/// A strided view of `rows × columns` values.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major view whose rows start `stride` values apart.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Row-major view without gaps.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// The transposed view of the same values.
    pub(crate) fn t(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn fits(&self) -> bool {
        fits(self.values.len(), (self.rows, self.row_stride), (self.columns, self.column_stride))
    }
}

fn fits(length: usize, (rows, row_stride): (usize, usize), (columns, column_stride): (usize, usize)) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + (columns - 1) * column_stride < length
}

/// `a · b` as a new row-major matrix.
pub(crate) fn product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let mut out = vec![0.0; a.rows * b.columns];
    multiply(a, b, &mut out, b.columns, Write::Replace);
    out
}

/// Whether a product replaces or adds to what it is written over.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Write {
    Replace,
    Add,
}

/// Writes `a · b` into `out`, whose rows start `stride` values apart.
pub(crate) fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], stride: usize, write: Write) {
    assert_eq!(a.columns, b.rows, "inner dimensions of a matrix product differ");
    assert!(a.fits() && b.fits(), "a matrix view reaches outside of its values");
    assert!(fits(out.len(), (a.rows, stride), (b.columns, 1)), "the product does not fit its output");
    // SAFETY: the three assertions above keep every index that gemm forms from these sizes and strides inside the
    // slices, `out` is borrowed exclusively and so overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            stride as isize,
            write == Write::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `out += factor · values`.
pub(crate) fn add_scaled(out: &mut [f32], factor: f32, values: &[f32]) {
    for (o, v) in out.iter_mut().zip(values) {
        *o += factor * v;
    }
}

/// Sum of squares in f64, so that the norm of a long gradient does not lose small entries.
#[cfg(test)]
pub(crate) fn squared_norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}
