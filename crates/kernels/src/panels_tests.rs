use proptest::prelude::*;

use super::*;
use crate::matmul::tests::{naive, values};

fn bf16(value: f32) -> f32 {
    f32::from_bits(pair(0.0, value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn packed_products_equal_the_naive_ones(
        rows in 1usize..20, k in 1usize..900, columns in 1usize..110, transposed: bool, add: bool, seed: u32,
    ) {
        let (a, b) = (values(rows * k, seed), values(k * columns, seed ^ 1));
        let view = if transposed { Matrix::new(&b, columns, k).t() } else { Matrix::new(&b, k, columns) };
        let entry = |l: usize, j: usize| b[l * view.row_stride + j * view.column_stride];
        let plain = naive((rows, k, columns), |i, l| a[i * k + l], entry);
        let rounded = naive((rows, k, columns), |i, l| bf16(a[i * k + l]), |l, j| bf16(entry(l, j)));
        for (isa, half) in Isa::available().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
            let packed = Panels::pack(isa, view, half);
            prop_assert_eq!(packed.is_bf16(), half && isa.has_bf16());
            let expected = if packed.is_bf16() { &rounded } else { &plain };
            let mut c = vec![0.25; rows * columns];
            let write = if add { Write::Add } else { Write::Replace };
            let out = MatrixMut::new(&mut c, rows, columns);
            packed.multiply(Matrix::new(&a, rows, k), out, write, &mut Scratch::default());
            for (found, expected) in c.iter().zip(expected) {
                let expected = expected + if add { 0.25 } else { 0.0 };
                prop_assert!((f64::from(*found) - expected).abs() < 2e-6 * k as f64 + 1e-5, "{isa:?} {half}");
            }
            if packed.is_bf16() {
                let (words, stride) = (k.div_ceil(2), k.div_ceil(2) + 3);
                let mut pairs = vec![0; rows * stride];
                for (row, out) in a.chunks(k).zip(pairs.chunks_mut(stride)) {
                    round(isa, row, &mut out[..words]);
                }
                let mut again = vec![0.25; rows * columns];
                packed.multiply_pairs(&pairs, stride, MatrixMut::new(&mut again, rows, columns), write);
                prop_assert_eq!(again, c);
            }
        }
    }

    #[test]
    fn packed_values_are_found_again(k in 1usize..70, columns in 1usize..70, seed: u32) {
        let b = values(k * columns, seed);
        for isa in Isa::available() {
            for half in [false, true] {
                let packed = Panels::pack(isa, Matrix::new(&b, k, columns), half);
                for (at, value) in b.iter().enumerate() {
                    let expected = if packed.is_bf16() { bf16(*value) } else { *value };
                    prop_assert_eq!(packed.get(at / columns, at % columns), expected);
                }
                for row in 0..k {
                    let mut out = vec![0.0; columns];
                    prop_assert_eq!(packed.bytes(), Panels::bytes_for(isa, k, columns, half));
                    packed.read_row(row, &mut out);
                    prop_assert!((0..columns).all(|column| out[column] == packed.get(row, column)));
                }
            }
        }
    }

    /// The processor's rounding and ours are one, for all kinds of values.
    #[test]
    fn rounding_to_bf16_is_to_nearest_even(bits in prop::collection::vec(any::<u32>(), 1..80)) {
        let values: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).collect();
        for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
            let mut out = vec![0; values.len().div_ceil(2)];
            round(isa, &values, &mut out);
            for (at, value) in values.iter().enumerate() {
                let found = f32::from_bits(if at % 2 == 0 { out[at / 2] << 16 } else { out[at / 2] & 0xffff_0000 });
                let expected = bf16(*value);
                prop_assert!(found == expected || (found.is_nan() && value.is_nan()), "{value} {found} {expected}");
            }
        }
    }
}

#[test]
fn the_nearest_bf16_is_by_definition_the_nearest() {
    for (value, expected) in
        [(1.0, 1.0), (1.0 + 1.0 / 256.0, 1.0), (1.0 + 3.0 / 256.0, 1.015_625), (-3.5, -3.5)]
    {
        assert_eq!(bf16(value), expected);
    }
}
