//! Rows end in their region, and rows that lie in it stay as they are.

use proptest::prelude::*;

use super::*;

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

#[test]
fn the_region_is_that_of_the_mechanisms() {
    assert_eq!(dp::mechanism::Region::from(Clip::Box), dp::mechanism::Region::Box);
    assert_eq!(dp::mechanism::Region::from(Clip::UnitBall), dp::mechanism::Region::UnitBall);
}

proptest! {
    #[test]
    fn rows_end_in_the_box(row in prop::array::uniform32(-3.0_f32..3.0)) {
        let mut clipped = row;
        apply::<false, 32>(Clip::Box, &mut clipped);
        for (clipped, value) in clipped.iter().zip(row) {
            prop_assert_eq!(*clipped, value.clamp(-1.0, 1.0));
        }
    }

    #[test]
    fn rows_end_in_the_ball_with_their_direction(row in prop::array::uniform32(-3.0_f32..3.0), scale in 0.01_f32..2.0) {
        let row = row.map(|x| x * scale);
        let mut clipped = row;
        apply::<false, 32>(Clip::UnitBall, &mut clipped);
        prop_assert!(norm(&clipped) <= 1.0);
        if norm(&row) < 1.0 - 1e-5 {
            prop_assert_eq!(clipped, row);
        } else {
            let factor = norm(&clipped) / norm(&row);
            prop_assert!(norm(&clipped) > 1.0 - 1e-5);
            for (clipped, value) in clipped.iter().zip(row) {
                prop_assert!((f64::from(*clipped) - factor * f64::from(value)).abs() < 1e-6);
            }
        }
    }
}

/// Rows whose norm is just at 1, where rounding could leave them outside, at the widest and with both kinds of arithmetic.
#[test]
fn rows_at_the_edge_of_the_ball_never_end_outside() {
    let mut random = crate::random::Stream::new(5, 5);
    for _ in 0..20_000 {
        let mut row: [f32; 512] = std::array::from_fn(|_| random.unit() - 0.5);
        let length = norm(&row) as f32;
        row.iter_mut().for_each(|x| *x /= length);
        let mut fused = row;
        apply::<false, 512>(Clip::UnitBall, &mut row);
        apply::<true, 512>(Clip::UnitBall, &mut fused);
        assert!(norm(&row) <= 1.0 && norm(&fused) <= 1.0, "{} {}", norm(&row), norm(&fused));
    }
}
