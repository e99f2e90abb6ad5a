//! The rounding here; the products are tested beside f32's in `matmul_tests.rs`.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn rounding_equals_the_half_crate(value in -1e30_f32..1e30) {
        prop_assert_eq!(round(value), half::bf16::from_f32(value).to_bits());
    }
}
