use proptest::prelude::*;

use super::*;
use crate::noise::golden;

fn to_f64(units: u128) -> f64 {
    units as f64 / ONE as f64
}

#[test]
fn densities_equal_those_of_error_functions_with_sixty_digits() {
    for golden in golden::rounded_gaussians() {
        for (n, expected) in &golden.densities {
            let expected = u128::from_str_radix(expected.trim_start_matches("0x"), 16).unwrap();
            let error = density(*n, golden.log2_sigma).abs_diff(expected);
            assert!(error < 1 << 8, "f({n}) at 2^{} is {error} units off", golden.log2_sigma);
        }
    }
}

#[test]
fn densities_of_a_small_lattice_sum_to_one() {
    let sum = 2 * (1..208).map(|n| density(n, 4) >> 8).sum::<u128>() + (density(0, 4) >> 8);
    let expected = 16.0 * std::f64::consts::TAU.sqrt() / 256.0;
    assert!((to_f64(sum) - expected).abs() < 1e-15);
}

#[test]
fn products_keep_their_integer_part() {
    assert_eq!(multiply(ONE, ONE), ONE);
    assert_eq!(multiply(ONE / 2, 3), 1);
    assert_eq!(multiply(2 * ONE - 1, ONE / 2), ONE - 1);
    assert_eq!(multiply_signed(ONE / 2, -3), -1);
}

#[test]
fn far_out_nothing_is_left() {
    assert_eq!(density(13 << 24, 24), density(208, 4));
    assert!(density(208, 4) < 1 << 8);
}

proptest! {
    #[test]
    fn exponentials_agree_with_the_mathematics_library(whole in 0_u32..90, fraction in 0..ONE) {
        let x = f64::from(whole) + to_f64(fraction);
        // The argument's own rounding is the most of it; 3e-36 is 2⁻¹¹⁸.
        let tolerance = (1.0 + x) * 4e-16 * libm::exp(-x) + 3e-36;
        prop_assert!((to_f64(exp_of_negative(whole, fraction)) - libm::exp(-x)).abs() < tolerance);
    }

    #[test]
    fn densities_fall(n in 0_u32..(8 << 24)) {
        prop_assert!(density(n, 24) > density(n + 1, 24));
    }
}
