use proptest::prelude::*;

use super::*;

const RADIUS: f64 = (1 << 20) as f64;

fn squared(point: &[i64]) -> u128 {
    point.iter().map(|c| u128::from(c.unsigned_abs()).pow(2)).sum()
}

fn l1_distance(a: &[i64], b: &[i64]) -> u128 {
    a.iter().zip(b).map(|(a, b)| u128::from(a.abs_diff(*b))).sum()
}

#[test]
fn vectors_inside_stay_and_others_come_to_the_edge() {
    assert_eq!(Region::Box.point(&[0.5, -3.0, 1.0], 4.0), [2, -4, 4]);
    assert_eq!(Region::UnitBall.point(&[0.5, -0.25], 1024.0), [512, -256]);
    let shortened = Region::UnitBall.point(&[30.0, -40.0], 1000.0);
    assert!(squared(&shortened) <= 1_000_000 && squared(&shortened) > 996_000, "{shortened:?}");
    assert_eq!(Region::Box.point(&[0.99, -0.99], 1.0), [0, 0], "rounded towards zero");
}

#[test]
fn vectors_that_are_not_finite_count_as_zero() {
    for region in [Region::Box, Region::UnitBall] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(region.point(&[1.0, bad], RADIUS), [0, 0]);
        }
    }
}

#[test]
fn diameters_are_those_of_the_corners() {
    for dimension in 1..60 {
        let corner = Region::Box.point(&vec![1.0; dimension], RADIUS);
        let opposite = Region::Box.point(&vec![-1.0; dimension], RADIUS);
        assert_eq!(l1_distance(&corner, &opposite), Region::Box.l1_diameter(dimension, 20));
        let distance = (4.0 * squared(&corner) as f64).sqrt();
        let diameter = Region::Box.l2_diameter(dimension) * RADIUS;
        assert!(distance <= diameter && diameter < distance * (1.0 + 1e-15));
    }
    // python3 -c "from math import isqrt; print(2 * isqrt(50 << 40))"
    assert_eq!(Region::UnitBall.l1_diameter(50, 20), 14_829_104);
}

#[test]
fn squares_are_exact_on_both_sides_of_32_bits() {
    for value in [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 45) + 7] {
        assert_eq!(square(value), u128::from(value) * u128::from(value));
    }
}

fn vectors() -> impl Strategy<Value = Vec<f32>> {
    let any_bits = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 13);
    let equal = any::<f32>().prop_map(|x| vec![x; 13]);
    prop_oneof![any_bits, equal, prop::collection::vec(-2.0_f32..2.0, 13)]
}

proptest! {
    #[test]
    fn truncation_is_that_of_integers(log2_size in -60.0_f64..45.0, places in -2_i64..=2) {
        // Numbers anywhere, and those next to integers.
        let anywhere = log2_size.exp2();
        for size in [anywhere, anywhere.round(), f64::from_bits((anywhere.round().to_bits() as i64 + places) as u64)] {
            let size = size.abs().min((1_u64 << 45) as f64);
            prop_assert_eq!(truncate(size), (size as i64) as f64);
            prop_assert_eq!(truncate(-size), (-size as i64) as f64);
        }
    }

    #[test]
    fn no_two_points_are_further_apart_than_the_diameters(a in vectors(), b in vectors()) {
        for region in [Region::Box, Region::UnitBall] {
            let (a, b) = (region.point(&a, RADIUS), region.point(&b, RADIUS));
            prop_assert!(l1_distance(&a, &b) <= region.l1_diameter(13, 20));
            let difference: Vec<i64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            prop_assert!(squared(&difference) as f64 <= (region.l2_diameter(13) * RADIUS).powi(2));
        }
    }

    #[test]
    fn points_keep_to_any_radius(vector in vectors(), log_radius in 0.0_f64..31.0) {
        let radius = log_radius.exp();
        let ball = Region::UnitBall.point(&vector, radius);
        prop_assert!(squared(&ball) as f64 <= radius * radius);
        prop_assert!(Region::Box.point(&vector, radius).iter().all(|c| c.unsigned_abs() as f64 <= radius));
    }
}
