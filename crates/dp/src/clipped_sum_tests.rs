use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::*;
use crate::test_statistics::{kolmogorov_smirnov, normal_cumulative};
use crate::{Clipper, Clipping};

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn energy(coordinates: impl Iterator<Item = i64>) -> u128 {
    coordinates.map(|c| u128::from(c.unsigned_abs()).pow(2)).sum()
}

// The exact squared distance of the sums with and without the vector.
fn squared_sensitivity(without: &ClippedSum, vector: &[f32]) -> u128 {
    let mut with = without.clone();
    with.add(vector);
    energy(with.sum.iter().zip(&without.sum).map(|(a, b)| a - b))
}

#[test]
fn the_bound_is_that_of_the_noise_multiplier_rounded_down() {
    // python3 -c "from fractions import Fraction as F
    // print([int(2**48 / F(z)**2) for z in (1, 0.5, 0.01, 1.1, 3.7, 2**20)])"
    for (z, floor) in [
        (1.0, 281_474_976_710_656_u64),
        (0.5, 1_125_899_906_842_624),
        (0.01, 2_814_749_767_106_559_882),
        (1.1, 232_623_947_694_756),
        (3.7, 20_560_626_494_569),
        (1_048_576.0, 256),
    ] {
        let bound = max_energy(z);
        assert!(bound <= floor && (floor - bound) as f64 <= 2.0 + floor as f64 * 2e-15, "{z}: {bound}");
    }
}

#[test]
fn a_vector_within_the_norm_is_kept_and_a_longer_one_is_cut_to_it() {
    let mut sum = ClippedSum::new(2, 2.0, 0.5).unwrap();
    let lattice = |x: f64| (x / sum.step()) as i64;
    let (short, long) = ([0.75, -1.0].map(lattice), [1.2, 1.6].map(lattice));
    sum.add(&[0.75, -1.0]);
    assert_eq!(sum.sum, short);
    sum.add(&[30.0, 40.0]);
    let off = energy(sum.sum.iter().zip(short.iter().zip(long)).map(|(s, (a, b))| s - a - b));
    assert!(off <= 2, "{:?}", sum.sum);
}

#[test]
fn a_point_just_over_the_bound_is_cut_once_more() {
    let mut sum = ClippedSum::new(2, 1.0, 1.0).unwrap();
    assert_eq!(u128::from(sum.max_energy), (1 << 48) - 1);
    sum.add(&[1.0, 0.0]);
    assert_eq!(sum.sum, [(1 << 24) - 1, 0]);
    sum.add(&[0.0, -1.0]);
    assert_eq!(sum.sum, [(1 << 24) - 1, 1 - (1 << 24)]);
}

#[test]
fn vectors_that_are_not_finite_count_as_zero() {
    let mut sum = ClippedSum::new(3, 1.0, 1.0).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        sum.add(&[0.5, bad, 0.1]);
    }
    assert_eq!(sum.sum, [0; 3]);
    // The largest finite ones do not.
    sum.add(&[f32::MAX, -f32::MAX, f32::MAX]);
    assert!(sum.sum.iter().all(|c| c.unsigned_abs() > 9_000_000));
}

#[test]
fn a_release_is_the_sum_plus_noise_of_the_right_scale() {
    let dimension = 200_000;
    let mut sum = ClippedSum::new(dimension, 3.0, 1.5).unwrap();
    let mut values = rng(1);
    let vector: Vec<f32> = (0..dimension).map(|_| StandardNormal.sample(&mut values)).collect();
    sum.add(&vector);
    let means: Vec<f64> = sum.sum.iter().map(|&c| c as f64 * sum.step()).collect();
    let noise = |scale: f64| -> Vec<f64> {
        let released = sum.clone().release(&mut rng(2));
        released.iter().zip(&means).map(|(r, m)| (r - m) / (scale * 3.0 * 1.5)).collect()
    };
    assert!(kolmogorov_smirnov(noise(1.0), normal_cumulative) < 1.95);
    assert!(kolmogorov_smirnov(noise(1.03), normal_cumulative) > 1.95, "a wrong scale must be noticed");
}

#[test]
fn releases_lie_on_the_lattice_and_replay() {
    let mut sum = ClippedSum::new(4000, 1.0, 2.0).unwrap();
    sum.add(&vec![0.01; 4000]);
    // A power of two, so that multiples of it are exact.
    let step = sum.step();
    let released = sum.clone().release(&mut rng(3));
    assert!(released.iter().all(|x| (x / step).fract() == 0.0));
    assert_eq!(released, sum.clone().release(&mut rng(3)));
    assert_ne!(released, sum.clone().release(&mut rng(4)));
    let mean: Vec<f32> = released.iter().map(|x| (x / 8.0) as f32).collect();
    assert_eq!(mean, sum.release_scaled(&mut rng(3), 8.0));
}

#[test]
fn noise_is_added_to_a_sum_of_nothing() {
    let released = ClippedSum::new(100, 1.0, 1.0).unwrap().release(&mut rng(5));
    assert!(released.iter().all(|&x| x != 0.0));
}

#[test]
fn debug_shows_no_values() {
    let mut sum = ClippedSum::new(2, 1.0, 1.0).unwrap();
    sum.add(&[0.25, -0.125]);
    assert_eq!(format!("{sum:?}"), "ClippedSum { dimension: 2, max_norm: 1.0, noise_multiplier: 1.0, .. }");
}

#[test]
fn parameters_out_of_range_are_refused() {
    for norm in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-39, 1e39] {
        assert!(matches!(ClippedSum::new(1, norm, 1.0), Err(DpError::MaxNorm(_))), "{norm}");
    }
    for z in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.0099, 1.1e6] {
        let error = ClippedSum::new(1, 1.0, z).unwrap_err();
        assert!(matches!(error, DpError::NoiseMultiplierRange { .. }), "{z}");
    }
}

#[test]
#[should_panic(expected = "sum's dimension")]
fn a_vector_of_another_dimension_is_refused() {
    ClippedSum::new(2, 1.0, 1.0).unwrap().add(&[1.0]);
}

#[test]
#[should_panic(expected = "different kinds")]
fn sums_of_different_kinds_do_not_merge() {
    ClippedSum::new(2, 1.0, 1.0).unwrap().merge(&ClippedSum::new(2, 1.0, 1.1).unwrap());
}

#[test]
#[should_panic(expected = "2^32 vectors")]
fn doubling_does_not_overflow_but_is_refused_in_time() {
    let mut sum = ClippedSum::new(1, 1.0, MIN_NOISE_MULTIPLIER).unwrap();
    sum.add(&[1.0]);
    for doublings in 1..=33 {
        sum.merge(&sum.clone());
        assert!(sum.sum[0] > 1_600_000_000 << doublings);
    }
}

// Not clipping at all would be noticed by the property below.
#[test]
fn without_the_clip_a_vector_would_break_the_bound() {
    let mut sum = ClippedSum::new(2, 1.0, 1.0).unwrap();
    let unclipped = rounded_gaussian::STANDARD_DEVIATION;
    assert!(sum.add_point(&[1.0, 1e-3], unclipped) > sum.max_energy);
}

// Any bits at all, among them NaN, infinities and subnormals; then sizes that real gradients have.
fn any_vector(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
    let any_bits = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), dimension);
    let ordinary = prop::collection::vec(-4.0_f32..4.0, dimension);
    let scaled = (prop::collection::vec(-1.0_f32..1.0, dimension), -44_i32..38)
        .prop_map(|(vector, exponent)| vector.iter().map(|x| x * 10.0_f32.powi(exponent)).collect());
    prop_oneof![any_bits, ordinary, scaled]
}

proptest! {
    #[test]
    fn one_vector_moves_the_sum_by_at_most_the_bound(
        before in any_vector(19), vector in any_vector(19), log_norm in -20.0_f64..20.0, log_z in -4.6_f64..13.8,
    ) {
        let mut sum = ClippedSum::new(19, log_norm.exp(), log_z.exp()).unwrap();
        sum.add(&before);
        let squared = squared_sensitivity(&sum, &vector);
        prop_assert!(squared <= u128::from(sum.max_energy));
        // And the bound is used: a long vector fills it, but for the rounding towards zero.
        let norm = squared_norm(&vector).sqrt();
        if norm.is_finite() && norm > sum.max_norm {
            let radius = (sum.max_energy as f64).sqrt();
            prop_assert!((squared as f64).sqrt() > radius * (1.0 - 1e-12) - 19_f64.sqrt() - 1.0);
        }
    }

    // The contract does not lean on the rule: its result is clipped like any vector.
    #[test]
    fn under_every_rule_one_vector_moves_the_sum_by_at_most_the_bound(
        vector in any_vector(19), log_norm in -20.0_f64..20.0, log_z in -4.6_f64..13.8,
    ) {
        let sum = ClippedSum::new(19, log_norm.exp(), log_z.exp()).unwrap();
        let finite = vector.iter().all(|x| x.is_finite());
        for rule in [Clipping::Flat, Clipping::Auto, Clipping::PerLayer] {
            let mut limited = vector.clone();
            Clipper::new(rule, [4, 5, 10]).limit(&mut limited, sum.max_norm);
            let squared = squared_sensitivity(&sum, &limited);
            prop_assert!(squared <= u128::from(sum.max_energy), "{}", rule);
            prop_assert!(finite || squared == 0, "{} hides what is not finite", rule);
        }
    }

    #[test]
    fn a_single_coordinate_reaches_the_bound_without_passing_it(x: f32, log_z in -4.6_f64..13.8) {
        prop_assume!(x.is_normal());
        let sum = ClippedSum::new(1, f64::from(f32::MIN_POSITIVE), log_z.exp()).unwrap();
        prop_assert!(squared_sensitivity(&sum, &[x]) <= u128::from(sum.max_energy));
    }

    #[test]
    fn neither_order_nor_partition_changes_a_bit(
        vectors in prop::collection::vec(any_vector(7), 2..8), cut: prop::sample::Index,
    ) {
        let empty = ClippedSum::new(7, 1.0, 0.7).unwrap();
        let total = |vectors: &mut dyn Iterator<Item = &Vec<f32>>| {
            let mut sum = empty.clone();
            vectors.for_each(|vector| sum.add(vector));
            sum
        };
        let expected = total(&mut vectors.iter());
        prop_assert_eq!(&total(&mut vectors.iter().rev()).sum, &expected.sum);
        let (left, right) = vectors.split_at(cut.index(vectors.len()));
        let mut merged = total(&mut right.iter());
        merged.merge(&total(&mut left.iter()));
        prop_assert_eq!((&merged.sum, merged.vectors), (&expected.sum, expected.vectors));
    }

    #[test]
    fn the_squared_norm_is_that_of_a_plain_sum(vector in prop::collection::vec(-1e3_f32..1e3, 0..40)) {
        let plain: f64 = vector.iter().map(|&x| f64::from(x).powi(2)).sum();
        prop_assert!((squared_norm(&vector) - plain).abs() <= 1e-12 * plain);
    }
}
