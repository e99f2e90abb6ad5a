use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_gradient_exceeds_the_bound(
        gradient in prop::collection::vec(prop_oneof![-1e3f32..1e3, -1e-6f32..1e-6, -1e30f32..1e30], 0..300),
        max_norm in 1e-3f64..1e2
    ) {
        let mut clipped = gradient.clone();
        clip(&mut clipped, max_norm);
        let norm = squared_norm(&clipped).sqrt();
        prop_assert!(norm <= max_norm, "{} above {}", norm, max_norm);
        let before = squared_norm(&gradient).sqrt();
        if before <= max_norm {
            prop_assert_eq!(clipped, gradient);
        } else {
            // As long as the bound allows, and in the same direction.
            prop_assert!(norm > max_norm * 0.999_99);
            let inner: f64 = clipped.iter().zip(&gradient).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!(inner > norm * before * 0.999_99);
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_adds_nothing() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut gradient = vec![1.0, bad, 2.0];
        clip(&mut gradient, 1.0);
        assert_eq!(gradient, [0.0; 3]);
    }
}

#[test]
fn the_largest_finite_gradient_is_clipped_all_the_same() {
    let mut gradient = vec![f32::MAX; 1000];
    clip(&mut gradient, 1.0);
    let norm = squared_norm(&gradient).sqrt();
    assert!(norm <= 1.0 && norm > 0.999, "{norm}");
}
