//! Both precisions against a plain f64 product, over shapes, strides and transpositions.

use proptest::prelude::*;

use super::*;

/// A matrix of small values in a larger buffer.
fn buffer(length: usize, seed: usize) -> Vec<f32> {
    // Multiples of 1/16 below 2: exact in bf16, so that mixed precision must be exact too.
    (0..length).map(|i| ((i * 7919 + seed * 104_729) % 63) as f32 / 16.0 - 2.0).collect()
}

fn at(m: &Matrix, row: usize, column: usize) -> f64 {
    f64::from(m.data[row * m.row_stride + column * m.column_stride])
}

fn precisions() -> Vec<Precision> {
    let mut all = vec![Precision::Single];
    all.extend((Precision::fastest() == Precision::Mixed).then_some(Precision::Mixed));
    all
}

proptest! {
    #[test]
    fn products_equal_plain_sums(
        rows in 1_usize..80, columns in 1_usize..150, depth in 1_usize..300,
        pad in 0_usize..5, left_turned: bool, right_turned: bool, accumulate: bool,
    ) {
        let (a, b) = (buffer((rows + pad) * (depth + pad + 1), 1), buffer((depth + pad + 1) * (columns + pad + 1), 2));
        let left = if left_turned {
            Matrix::strided(&a, depth, rows, rows + pad).transposed()
        } else {
            Matrix::strided(&a, rows, depth, depth + pad)
        };
        let right = if right_turned {
            Matrix::strided(&b, columns, depth, depth + pad).transposed()
        } else {
            Matrix::strided(&b, depth, columns, columns + pad)
        };
        for precision in precisions() {
            let stride = columns + pad;
            let before = buffer(rows * stride, 3);
            let mut out = before.clone();
            let destination = MatrixMut::strided(&mut out, rows, columns, stride);
            match accumulate {
                true => destination.add_product(left, right, precision),
                false => destination.assign_product(left, right, precision),
            }
            for (i, (after, before)) in out.iter().zip(&before).enumerate() {
                let (row, column) = (i / stride, i % stride);
                if column >= columns {
                    prop_assert_eq!(after, before, "the padding was written");
                    continue;
                }
                let start = if accumulate { f64::from(*before) } else { 0.0 };
                let sum: f64 = (0..depth).map(|k| at(&left, row, k) * at(&right, k, column)).sum();
                prop_assert!((f64::from(*after) - start - sum).abs() < 1e-3, "{after} at {row}, {column}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "matrix shapes")]
fn shapes_must_agree() {
    let (a, b, mut out) = (vec![0.0; 6], vec![0.0; 6], vec![0.0; 9]);
    let (left, right) = (Matrix::new(&a, 3, 2), Matrix::new(&b, 3, 2));
    MatrixMut::new(&mut out, 3, 2).assign_product(left, right, Precision::Single);
}

#[test]
#[should_panic(expected = "exceeds a slice")]
fn a_view_must_fit_its_slice() {
    Matrix::strided(&[0.0; 10], 3, 4, 4);
}

#[test]
#[should_panic(expected = "overlap")]
fn rows_to_write_must_not_overlap() {
    MatrixMut::strided(&mut [0.0; 10], 3, 3, 2);
}
