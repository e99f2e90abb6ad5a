use proptest::prelude::*;

use super::*;

const RULES: [Clipping; 3] = [Clipping::Flat, Clipping::Auto, Clipping::PerLayer];

fn limited(rule: Clipping, blocks: &[usize], gradient: &[f32], max_norm: f64) -> Vec<f32> {
    let mut gradient = gradient.to_vec();
    Clipper::new(rule, blocks.iter().copied()).limit(&mut gradient, max_norm);
    gradient
}

#[test]
fn auto_brings_every_gradient_to_its_share_of_the_norm() {
    // ‖(3, 4)‖ = 5: 2·5/5.01, and a gradient of norm γ to half of C.
    for (length, expected) in [(5.0, 2.0 * 5.0 / 5.01), (0.01, 1.0), (1e-6, 2.0 * 1e-6 / 0.010_001)] {
        let gradient = [0.6 * length as f32, -0.8 * length as f32];
        let found = limited(Clipping::Auto, &[], &gradient, 2.0);
        assert!((norm(&found) / expected - 1.0).abs() < 1e-6, "{length}: {found:?}");
        assert!((f64::from(found[0]) / f64::from(found[1]) + 0.75).abs() < 1e-6, "the direction stays");
    }
    assert_eq!(limited(Clipping::Auto, &[], &[0.0, 0.0], 2.0), [0.0, 0.0]);
}

#[test]
fn per_layer_clips_each_block_to_its_share_and_leaves_short_ones() {
    let gradient = [3.0, 4.0, 0.1, -0.1, 0.0, 50.0];
    let found = limited(Clipping::PerLayer, &[2, 2, 1, 1], &gradient, 2.0);
    // Four blocks: each has at most 2/√4 = 1.
    for (found, expected) in found.iter().zip([0.6, 0.8, 0.1, -0.1, 0.0, 1.0]) {
        assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
    }
}

#[test]
fn one_block_is_flat_clipping() {
    let gradient = [3.0, -4.0, 12.0];
    let found = limited(Clipping::PerLayer, &[3], &gradient, 6.5);
    assert_eq!(found, [1.5, -2.0, 6.0]);
    assert_eq!(limited(Clipping::Flat, &[], &gradient, 6.5), gradient, "which the sum does itself");
}

#[test]
#[should_panic(expected = "make up the gradient")]
fn blocks_that_do_not_fit_are_refused() {
    limited(Clipping::PerLayer, &[2, 2], &[1.0; 5], 1.0);
}

#[test]
fn what_is_not_finite_stays_so() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for rule in RULES {
            let found = limited(rule, &[2, 2], &[1.0, 2.0, bad, 3.0], 1.0);
            assert!(found.iter().any(|value| !value.is_finite()), "{rule}: {found:?}");
        }
    }
}

#[test]
fn names_are_those_of_the_command_line() {
    for rule in RULES {
        let json = serde_json::to_value(rule).unwrap();
        assert_eq!(json, rule.to_string());
        assert_eq!(serde_json::from_value::<Clipping>(json).unwrap(), rule);
    }
    assert!(Clipping::default().is_default() && Clipping::default() == Clipping::Flat);
}

proptest! {
    #[test]
    fn no_rule_leaves_more_than_the_norm(
        gradient in prop::collection::vec(-1.0_f32..1.0, 12), exponent in -30_i32..37, log_norm in -9.0_f64..9.0,
    ) {
        let gradient: Vec<f32> = gradient.iter().map(|x| x * 10.0_f32.powi(exponent)).collect();
        let max_norm = log_norm.exp();
        for rule in [Clipping::Auto, Clipping::PerLayer] {
            let found = limited(rule, &[3, 4, 5], &gradient, max_norm);
            // Each value is rounded to f32 once.
            prop_assert!(norm(&found) <= max_norm * (1.0 + 1e-6), "{rule}: {}", norm(&found));
        }
        let blocks = limited(Clipping::PerLayer, &[3, 4, 5], &gradient, max_norm);
        for block in [&blocks[..3], &blocks[3..7], &blocks[7..]] {
            prop_assert!(norm(block) <= max_norm / 3.0_f64.sqrt() * (1.0 + 1e-6));
        }
    }
}
