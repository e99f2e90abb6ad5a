use proptest::prelude::*;

use super::*;

/// Values of moderate size that differ from place to place.
pub(crate) fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The product in f64, `[rows, columns]`, of `a(i, l)` and `b(l, j)`.
pub(crate) fn naive(
    (rows, k, columns): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let entry = |i: usize, j: usize| (0..k).map(|l| f64::from(a(i, l)) * f64::from(b(l, j))).sum();
    (0..rows * columns).map(|at| entry(at / columns, at % columns)).collect()
}

const GUARD: f32 = 7.25e11;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every instruction set, every odd size, both writes, with gaps between rows that must stay untouched.
    #[test]
    fn products_equal_the_naive_ones(
        rows in 1usize..20, k in 0usize..40, columns in 1usize..110,
        gap in 0usize..5, transposed: bool, add: bool, seed: u32,
    ) {
        let (a_values, b_values) = (values(rows * k, seed), values(k * (columns + gap), seed ^ 1));
        let a = if transposed { Matrix::new(&a_values, k, rows).t() } else { Matrix::new(&a_values, rows, k) };
        let b = Matrix::strided(&b_values, k, columns, columns + gap);
        let expected = naive(
            (rows, k, columns),
            |i, l| a_values[i * a.row_stride + l * a.column_stride],
            |l, j| b_values[l * (columns + gap) + j],
        );
        for isa in Isa::available() {
            let mut c = vec![GUARD; rows * (columns + gap)];
            for row in c.chunks_mut(columns + gap) { row[..columns].fill(0.5); }
            let write = if add { Write::Add } else { Write::Replace };
            matmul(isa, a, b, MatrixMut::strided(&mut c, rows, columns, columns + gap), write);
            for (i, row) in c.chunks(columns + gap).enumerate() {
                prop_assert!(row[columns..].iter().all(|v| *v == GUARD), "{isa:?} wrote into a gap");
                for (j, found) in row[..columns].iter().enumerate() {
                    let expected = expected[i * columns + j] + if add { 0.5 } else { 0.0 };
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-5 * (1.0 + k as f64), "{isa:?}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "shapes of a product differ")]
fn shapes_that_differ_are_refused() {
    let (a, b, mut c) = (values(6, 1), values(8, 2), vec![0.0; 8]);
    let c = MatrixMut::new(&mut c, 2, 4);
    matmul(Isa::detect(), Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 4), c, Write::Replace);
}

#[test]
#[should_panic(expected = "outside of its values")]
fn a_view_that_reaches_too_far_is_refused() {
    Matrix::strided(&[0.0; 9], 3, 3, 4);
}
