//! Stands in for mixed precision on processors that are not x86-64: never available.

use crate::matmul::{Matrix, MatrixMut};

/// Never.
pub(crate) fn available() -> bool {
    false
}

/// Must not be called, as [`available`] says.
pub(crate) fn product(_: MatrixMut, _: Matrix, _: Matrix, _: bool) {
    unreachable!("mixed precision needs AVX-512-BF16");
}
