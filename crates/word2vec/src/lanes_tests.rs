//! Each operation against f64.

use proptest::prelude::*;

use super::*;

fn relative_error(x: f32) -> f64 {
    let exact = f64::from(x).exp();
    (f64::from(exp::<false, 1>([x])[0]) / exact - 1.0).abs()
}

#[test]
fn exp_is_within_its_bound_everywhere() {
    // The argument's own rounding in f32, x · 2⁻²⁴, comes on top of the polynomial.
    for step in -870_000..=870_000 {
        let x = step as f32 * 1e-4;
        let bound = 3e-7 + f64::from(x.abs()) * 2e-7;
        assert!(relative_error(x) < bound, "{x}: {}", relative_error(x));
    }
}

#[test]
fn exp_saturates() {
    let [low, high, zero] = exp::<false, 3>([f32::NEG_INFINITY, f32::INFINITY, 0.0]);
    assert!(low > 0.0 && low < 2e-38);
    assert!(high.is_finite() && high > 6e37);
    assert_eq!(zero, 1.0);
}

proptest! {
    #[test]
    fn dot_and_add_scaled_match_f64(values in prop::collection::vec((-2.0_f32..2.0, -2.0_f32..2.0), 64), factor in -3.0_f32..3.0) {
        let a: [f32; 64] = std::array::from_fn(|i| values[i].0);
        let b: [f32; 64] = std::array::from_fn(|i| values[i].1);
        let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let (mut plain, mut fused) = (b, b);
        add_scaled::<false, 64>(&mut plain, factor, &a);
        add_scaled::<true, 64>(&mut fused, factor, &a);
        for result in [dot::<false>(&a, &b), dot::<true>(&a, &b)] {
            prop_assert!((f64::from(result) - exact).abs() < 2e-5, "{result} for {exact}");
        }
        for lane in 0..64 {
            let exact = f64::from(factor) * f64::from(a[lane]) + f64::from(b[lane]);
            prop_assert!((f64::from(plain[lane]) - exact).abs() < 2e-6);
            prop_assert!((f64::from(fused[lane]) - exact).abs() < 2e-6);
        }
    }
}
