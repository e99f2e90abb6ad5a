//! How much noise the shards of a step have, alone and together, against how far a record moves them.

use proptest::prelude::*;

use super::tests::{BATCH, NORM, combine, count, plan, release, seed};
use super::*;
use crate::clipped_sum::ClippedSum;
use crate::noise::rounded_gaussian::STANDARD_DEVIATION;
use crate::plan::MAX_LOSS;
use crate::test_statistics::{kolmogorov_smirnov, normal_cumulative};

const COORDINATES: usize = 60_000;

/// The noise of K sums of multiplier `each`, in units of z·C: what `combine` does, for any split of the
/// noise.
fn total_noise(shards: u32, z: f64, each: f64) -> Vec<f64> {
    let plan = plan(z, None);
    let mut total = vec![0_i64; COORDINATES];
    for id in count(shards).of_step(2) {
        let sum = ClippedSum::new(COORDINATES, NORM, each).unwrap();
        let noisy = sum.release_points(&mut seed(7).stream(Purpose::ShardGradientNoise, id.stream()));
        total.iter_mut().zip(noisy).for_each(|(total, noisy)| *total += noisy);
    }
    let unit = plan.noise_multiplier() * NORM / (each * NORM / STANDARD_DEVIATION);
    total.iter().map(|&noisy| noisy as f64 / unit).collect()
}

/// Mean square less one, in standard deviations of it for standard normal values.
fn variance_score(noise: &[f64]) -> f64 {
    let n = noise.len() as f64;
    (noise.iter().map(|x| x * x).sum::<f64>() / n - 1.0) * (n / 2.0).sqrt()
}

#[test]
fn the_noise_of_all_shards_is_the_plans() {
    for (shards, z) in [(2, 1.5), (5, 0.7), (16, 3.0)] {
        let plan = plan(z, None);
        let released =
            combine(&plan, 2, shards, COORDINATES, &release(&plan, 2, shards, COORDINATES, |_, _| ()));
        let scale = BATCH as f64 / (z * NORM);
        let noise: Vec<f64> = released.unwrap().gradient.iter().map(|&x| f64::from(x) * scale).collect();
        assert!(variance_score(&noise).abs() < 3.5, "{shards}: {}", variance_score(&noise));
        assert!(kolmogorov_smirnov(noise.clone(), normal_cumulative) < 1.95);
        // The control's arithmetic is that of `combine` when the noise is split rightly.
        let same = total_noise(shards, z, share(z, count(shards)));
        assert!(noise.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-5));
        for wrong in [z, z / f64::from(shards)] {
            let noise = total_noise(shards, z, wrong);
            assert!(variance_score(&noise).abs() > 20.0, "{shards} shards of {wrong} must be noticed");
            assert!(kolmogorov_smirnov(noise, normal_cumulative) > 1.95);
        }
    }
}

#[test]
fn the_noise_on_losses_is_split_alike() {
    let plan = plan(1.0, Some(3.0));
    let noise = |steps: std::ops::Range<u64>| -> Vec<f64> {
        let one = |step| {
            let released = combine(&plan, step, 100, 0, &release(&plan, step, 100, 0, |_, _| ())).unwrap();
            (released.loss.unwrap() - MAX_LOSS / 2.0) * BATCH as f64 / (3.0 * MAX_LOSS / 2.0)
        };
        steps.map(one).collect()
    };
    let found = noise(0..20);
    assert!(variance_score(&found).abs() < 3.5, "{found:?}");
    let wrong: Vec<f64> = found.iter().map(|x| x * 10.0).collect();
    assert!(variance_score(&wrong) > 20.0, "the plan's whole noise in each shard must be noticed");
}

/// Mantissa and exponent: value = mantissa·2^exponent, exactly.
fn exact(value: f64) -> (u128, i32) {
    let bits = value.to_bits();
    (u128::from(bits & ((1 << 52) - 1) | 1 << 52), (bits >> 52) as i32 - 1075)
}

/// Whether K·each² ≥ z², in whole numbers.
fn is_enough(z: f64, each: f64, shards: u32) -> bool {
    let ((z, z_exponent), (each, each_exponent)) = (exact(z), exact(each));
    let shift = 2 * (z_exponent - each_exponent);
    assert!((0..=10).contains(&shift), "K is at most 2⁸");
    each * each * u128::from(shards) >= (z * z) << shift
}

#[test]
fn the_split_is_rounded_up_and_plain_arithmetic_would_not_be() {
    let quotient = |z: f64, shards: u32| z / f64::from(shards).sqrt();
    let short = (2..=MAX_SHARDS).filter(|&shards| !is_enough(1.1, quotient(1.1, shards), shards)).count();
    assert!(short > 10, "{short} quotients of 255 are too small");
    assert_eq!(share(1.1, count(1)), 1.1);
    let largest = plan((1 << 20) as f64, None);
    for shards in [1, 2, 256] {
        assert!(largest.shard(ShardId { step: 0, index: 0, count: count(shards) }).is_ok());
    }
}

proptest! {
    #[test]
    fn k_shards_never_have_less_noise_than_the_plan(log_z in -4.6_f64..13.8, shards in 1..=MAX_SHARDS) {
        let z = log_z.exp();
        let each = share(z, count(shards));
        prop_assert!(is_enough(z, each, shards));
        prop_assert!(each <= z / f64::from(shards).sqrt() * (1.0 + 1e-15), "nor more than rounding takes");
    }

    // The whole batch's sensitivity in steps, against the noise of √K·2²⁴ of them.
    #[test]
    fn one_record_moves_its_shard_by_no_more_than_the_noise_allows(
        vector in prop::collection::vec(-4.0_f32..4.0, 12), exponent in -9_i32..9, log_z in -2.0_f64..5.0,
        shards in 1_u32..=100,
    ) {
        let z = log_z.exp();
        let plan = plan(z, None);
        let vector: Vec<f32> = vector.iter().map(|x| x * 10.0_f32.powi(exponent)).collect();
        let index = shards / 2;
        let add = |at, sum: &mut ShardSum| if at == index { sum.add(&vector, 0.0) };
        let (with, without) = (release(&plan, 1, shards, 12, add), release(&plan, 1, shards, 12, |_, _| ()));
        let moved = |id: usize| {
            let pairs = with[id].gradient.iter().zip(&without[id].gradient);
            pairs.map(|(a, b)| u128::from((a - b).unsigned_abs()).pow(2)).sum::<u128>()
        };
        for id in 0..shards as usize {
            let radius = if id == index as usize { STANDARD_DEVIATION / z } else { 0.0 };
            let bound = f64::from(shards) * radius * radius;
            prop_assert!(moved(id) as f64 <= bound * (1.0 + 1e-12), "shard {}", id);
        }
        let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let bound = STANDARD_DEVIATION / z * f64::from(shards).sqrt();
        let filled = (moved(index as usize) as f64).sqrt() / bound;
        prop_assert!((filled - (norm / NORM).min(1.0)).abs() < 1e-4, "the bound is used: {}", filled);
    }
}
