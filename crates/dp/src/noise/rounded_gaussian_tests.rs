use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::noise::golden;
use crate::test_statistics::{chi_square_score, kolmogorov_smirnov, normal_cumulative};
use crate::{Purpose, SecretSeed};

const DRAWS: usize = 2_000_000;

fn draws(count: usize) -> Vec<i32> {
    let mut draws = vec![0; count];
    fill(&mut ChaCha20Rng::from_seed([31; 32]), &mut draws);
    draws
}

fn standardised(draws: &[i32]) -> Vec<f64> {
    draws.iter().map(|&n| f64::from(n) / STANDARD_DEVIATION).collect()
}

#[test]
fn draws_equal_those_of_the_second_implementation() {
    for golden in golden::rounded_gaussians() {
        let ziggurat = Ziggurat::new(golden.log2_sigma, golden.area);
        let mut rng =
            SecretSeed::from_bytes(std::array::from_fn(|i| i as u8)).stream(Purpose::GradientNoise, 3);
        let mut draws = vec![0; golden.count];
        fill_from(&ziggurat, &mut Words::new(&mut rng), &mut draws);
        assert_eq!(draws[..golden.first_draws.len()], golden.first_draws);
        let hash = Sha256::digest(draws.iter().flat_map(|draw| draw.to_le_bytes()).collect::<Vec<u8>>());
        assert_eq!(hex::encode(hash), golden.sha256_of_draws);
        assert_eq!(
            rng.next_u64(),
            golden.next_word,
            "the generator must stand just behind the last word used"
        );
    }
}

#[test]
fn the_area_of_the_real_table_is_the_least() {
    assert_eq!(golden::rounded_gaussians()[1].area, AREA);
    assert_eq!(golden::rounded_gaussians()[1].log2_sigma, LOG2_SIGMA);
}

#[test]
fn draws_are_standard_normal() {
    let score = kolmogorov_smirnov(standardised(&draws(DRAWS)), normal_cumulative);
    assert!(score < 1.95, "{score}");
}

#[test]
fn the_test_of_normality_rejects_a_scale_that_is_one_percent_off() {
    for factor in [0.99, 1.01] {
        let other = standardised(&draws(DRAWS)).iter().map(|x| x * factor).collect();
        assert!(kolmogorov_smirnov(other, normal_cumulative) > 1.95);
    }
}

// Cells at ±6σ, ±5.5σ, … : the outermost hold one draw in a million or fewer, so those beyond 4.5σ are taken together.
fn cell_score(draws: &[i32], scale: f64) -> f64 {
    let edges: Vec<f64> = (-9..=9).map(|i| f64::from(i) * 0.5 * scale).collect();
    let mut counts = vec![0; edges.len() + 1];
    for x in standardised(draws) {
        counts[edges.partition_point(|&edge| edge < x)] += 1;
    }
    let edges: Vec<f64> = (-9..=9).map(|i| f64::from(i) * 0.5).collect();
    let cumulative: Vec<f64> =
        [0.0].into_iter().chain(edges.iter().map(|&x| normal_cumulative(x))).chain([1.0]).collect();
    let probabilities: Vec<f64> = cumulative.windows(2).map(|pair| pair[1] - pair[0]).collect();
    chi_square_score(&counts, &probabilities)
}

#[test]
fn cells_out_to_the_tails_hold_their_share() {
    let draws = draws(4 * DRAWS);
    let score = cell_score(&draws, 1.0);
    assert!(score < 4.0, "{score}");
    assert!(cell_score(&draws, 1.01) > 4.0, "a scale one percent off must be noticed");
}

#[test]
fn far_tails_are_as_heavy_as_they_should_be() {
    let draws = draws(8 * DRAWS);
    for sigmas in [3.0, 4.0, 5.0] {
        let expected = 2.0 * normal_cumulative(-sigmas) * draws.len() as f64;
        let beyond = draws.iter().filter(|n| f64::from(n.abs()) > sigmas * STANDARD_DEVIATION).count() as f64;
        assert!(
            (beyond - expected).abs() < 4.0 * expected.sqrt(),
            "beyond {sigmas}: {beyond} for {expected}"
        );
    }
}

fn low_byte_score(integers: impl Iterator<Item = i64>) -> f64 {
    let mut counts = vec![0; 256];
    integers.for_each(|n| counts[(n & 0xff) as usize] += 1);
    chi_square_score(&counts, &[1.0 / 256.0; 256])
}

#[test]
fn low_bits_are_uniform() {
    let score = low_byte_score(draws(DRAWS).into_iter().map(i64::from));
    assert!(score < 4.0, "{score}");
}

#[test]
fn the_test_of_low_bits_rejects_a_textbook_sampler_in_f32() {
    let mut rng = ChaCha20Rng::from_seed([32; 32]);
    let mut uniform = || ((rng.next_u32() >> 8) + 1) as f32 / (1 << 24) as f32;
    let box_muller =
        (0..DRAWS).map(|_| (-2.0 * uniform().ln()).sqrt() * (std::f32::consts::TAU * uniform()).cos());
    // Exact: a power of two times an f32. Beyond 1 the f32 are further apart than the lattice, and even its points
    // are missing.
    assert!(low_byte_score(box_muller.map(|x| (x * (1 << 24) as f32) as i64)) > 100.0);
}

#[test]
fn moments_and_successive_draws_are_right() {
    let draws = standardised(&draws(DRAWS));
    let mean = |f: &dyn Fn(f64) -> f64| draws.iter().map(|&x| f(x)).sum::<f64>() / DRAWS as f64;
    // Four standard errors of each: variances of x, x², x³, x⁴, x⁶ are 1, 2, 15, 96, 10170.
    for (power, expected, variance) in
        [(1, 0.0, 1.0_f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)]
    {
        let error = (mean(&|x| x.powi(power)) - expected).abs();
        assert!(error < 4.0 * (variance / DRAWS as f64).sqrt(), "moment {power}: {error}");
    }
    for lag in [1, 2, 128] {
        let pairs = draws.iter().zip(&draws[lag..]).map(|(a, b)| a * b).sum::<f64>() / DRAWS as f64;
        assert!(pairs.abs() < 4.0 / (DRAWS as f64).sqrt(), "lag {lag}: {pairs}");
    }
}

// The law of the small lattice, σ = 16, from error functions, on −60 … 60 and all the rest.
fn small_lattice_probabilities() -> Vec<f64> {
    let cumulative = |n: i32| normal_cumulative((f64::from(n) - 0.5) / 16.0);
    let inside: Vec<f64> = (-60..=60).map(|n| cumulative(n + 1) - cumulative(n)).collect();
    let outside = 1.0 - inside.iter().sum::<f64>();
    inside.into_iter().chain([outside]).collect()
}

fn small_lattice_counts() -> Vec<u64> {
    let [golden, _] = golden::rounded_gaussians();
    let mut draws = vec![0; DRAWS];
    let mut rng = ChaCha20Rng::from_seed([33; 32]);
    fill_from(&Ziggurat::new(golden.log2_sigma, golden.area), &mut Words::new(&mut rng), &mut draws);
    let mut counts = vec![0; 122];
    draws.iter().for_each(|n| counts[if n.abs() <= 60 { (n + 60) as usize } else { 121 }] += 1);
    counts
}

#[test]
fn a_small_lattice_has_exactly_its_law() {
    let score = chi_square_score(&small_lattice_counts(), &small_lattice_probabilities());
    assert!(score < 4.0, "{score}");
}

#[test]
fn the_test_of_the_small_lattice_rejects_a_zero_counted_twice_or_not_at_all() {
    for factor in [0.0_f64, 0.5, 2.0] {
        let mut probabilities = small_lattice_probabilities();
        probabilities[60] = (probabilities[60] * factor).max(1e-9);
        let sum: f64 = probabilities.iter().sum();
        let probabilities: Vec<f64> = probabilities.iter().map(|p| p / sum).collect();
        assert!(chi_square_score(&small_lattice_counts(), &probabilities) > 4.0);
    }
}

#[test]
fn drawing_nothing_takes_nothing() {
    let (mut rng, mut untouched) = (ChaCha20Rng::from_seed([0; 32]), ChaCha20Rng::from_seed([0; 32]));
    fill(&mut rng, &mut []);
    assert_eq!(rng.next_u64(), untouched.next_u64());
}

proptest! {
    #[test]
    fn pieces_make_the_same_draws_and_leave_the_generator_in_the_same_place(
        seed: [u8; 32], lengths in prop::collection::vec(0_usize..700, 1..6),
    ) {
        let (mut whole, mut pieces) = (ChaCha20Rng::from_seed(seed), ChaCha20Rng::from_seed(seed));
        let mut expected = vec![0; lengths.iter().sum()];
        fill(&mut whole, &mut expected);
        let mut actual = Vec::new();
        for length in lengths {
            let mut piece = vec![0; length];
            fill(&mut pieces, &mut piece);
            actual.extend(piece);
        }
        prop_assert_eq!(&actual, &expected);
        prop_assert_eq!(whole.next_u64(), pieces.next_u64());
        let mut single = ChaCha20Rng::from_seed(seed);
        prop_assert!(expected.iter().all(|&draw| sample(&mut single) == draw));
    }

    // Each column keeps exactly ⌊2⁵⁵/w⌋ of the words' upper parts: the first one, if its remainder is too small, is
    // refused.
    #[test]
    fn every_column_has_the_same_number_of_words(width in 1_u32..(13 << 24), place in 0_u32..u32::MAX) {
        let wanted = place % width;
        let first = |c: u32| (u128::from(c) << 55).div_ceil(u128::from(width)) as u64;
        let (start, end) = (first(wanted), first(wanted + 1));
        for u in [start, end - 1] {
            prop_assert_eq!(column(u << 9, width).0, wanted);
        }
        let refused = column(start << 9, width).1 >> 9 < (1 << 55) % u64::from(width);
        prop_assert_eq!(end - start - u64::from(refused), (1 << 55) / u64::from(width));
    }

    #[test]
    fn products_by_halves_are_whole(word: u64, width in 1_u32..(1 << 28)) {
        for word in [word, u64::MAX] {
            let product = u128::from(word) * u128::from(width);
            prop_assert_eq!(product_by_halves(word, width), ((product >> 64) as u32, product as u64));
        }
    }

    // The quick way never differs from the thorough one.
    #[test]
    fn what_is_quick_is_thorough(word: u64) {
        if let Some(value) = quick(&ZIGGURAT, word) {
            let mut rng = ChaCha20Rng::from_seed([0; 32]);
            let mut words = Words::new(&mut rng);
            prop_assert_eq!(thorough(&ZIGGURAT, word, &mut words, 1), Some(value));
        }
    }
}
