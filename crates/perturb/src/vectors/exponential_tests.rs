use dp::Epsilon;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::super::test_tables::{clustered, tables};
use super::*;

fn mechanism(index: &VectorIndex, largest: f64, epsilon: f64) -> ExponentialMechanism {
    ExponentialMechanism::new(index.len(), largest, Epsilon::try_from(epsilon).unwrap()).unwrap()
}

fn weights(index: &VectorIndex, mechanism: &ExponentialMechanism, word: u32) -> Vec<u64> {
    (0..index.len()).map(|other| mechanism.weight(index.distance(word, other))).collect()
}

// Every bound is at least its weight, and all positions belong to the words in order.
fn assert_envelope(envelope: &Widths<'_>, weights: &[u64], weight_bits: u32) {
    let mut end = 0;
    for (item, &weight) in weights.iter().enumerate() {
        let width = u64::from(envelope.widths[item]);
        assert!(width << (weight_bits - 23) >= weight, "word {item}: {width} for {weight}");
        for offset in [0, width / 2, width - 1] {
            let expected = Proposal { item: item as u32, offset, width };
            assert_eq!(envelope.locate(end + offset), expected);
        }
        end += width;
    }
    assert_eq!(envelope.total(), end);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn envelopes_are_never_below_the_weights(
        (rows, dim) in tables(), log_epsilon in -4.0_f64..3.6, share in 0.3_f64..2.0, seed: u32,
    ) {
        let index = VectorIndex::new(rows, dim).unwrap();
        // Distances beyond the largest, too.
        let largest = (index.diameter() * share).max(1e-30);
        let mechanism = mechanism(&index, largest, log_epsilon.exp());
        let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
        let words: Vec<u32> = (0..4).map(|place| seed.wrapping_mul(place + 1) % index.len()).collect();
        sampler.bound(&words);
        for (place, &word) in words.iter().enumerate() {
            assert_envelope(&sampler.envelope(place), &weights(&index, &mechanism, word), mechanism.weight_bits());
        }
    }

    // Powers of two by their chords: never below, and at most 6.2 % above (and a unit, and the last exponents).
    #[test]
    fn widths_are_powers_of_two_rounded_up(exponent in -33.0_f64..0.0) {
        // Distances are taken from squares: 1 − 0 − 0, at this slope.
        let curve = Curve { product: 0.0, square_norm: 0.0, slope: exponent as f32, floor: -40.0 };
        let (width, real) = (f64::from(curve.width(0, 1.0)), f64::from(exponent as f32).exp2() * f64::from(WHOLE));
        prop_assert!(width >= real && width <= real * 1.062 + 2.0, "{width} for {real}");
        prop_assert_eq!(curve.width(0, -1.0), MAX_WIDTH);
        prop_assert_eq!(Curve { floor: -1.0, ..curve }.width(0, 1e9), (MAX_WIDTH >> 1) + 65);
    }
}

#[test]
fn envelopes_of_larger_tables_are_tight() {
    let index = VectorIndex::new(clustered(3000, 50, 0.2, 2), 50).unwrap();
    for epsilon in [0.1, 4.0, 20.0, 40.0] {
        let mechanism = mechanism(&index, index.diameter_bound(), epsilon);
        let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
        sampler.bound(&[5, 17, 2999]);
        for (place, word) in [5, 17, 2999].into_iter().enumerate() {
            let weights = weights(&index, &mechanism, word);
            assert_envelope(&sampler.envelope(place), &weights, mechanism.weight_bits());
            let tries = sampler.envelope(place).total() as f64
                * 2.0_f64.powi(mechanism.weight_bits() as i32 - 23)
                / weights.iter().sum::<u64>() as f64;
            assert!(tries < 1.07, "{tries} proposals a draw at epsilon {epsilon}");
        }
    }
}

// (χ² − k)/√2k over cells of the expected size 10 at least; below 4 for the right distribution.
fn chi_square_score(counts: &[u64], weights: &[u64]) -> f64 {
    let (draws, total) = (counts.iter().sum::<u64>() as f64, weights.iter().sum::<u64>() as f64);
    let (mut square, mut cells, mut seen, mut expected) = (0.0, 0.0, 0.0, 0.0);
    for (&count, &weight) in counts.iter().zip(weights) {
        seen += count as f64;
        expected += weight as f64 * draws / total;
        if expected >= 10.0 {
            square += (seen - expected).powi(2) / expected;
            (cells, seen, expected) = (cells + 1.0, 0.0, 0.0);
        }
    }
    (square - cells) / (2.0_f64 * cells).sqrt()
}

fn counts(draws: &[u32], words: u32) -> Vec<u64> {
    let mut counts = vec![0; words as usize];
    draws.iter().for_each(|&draw| counts[draw as usize] += 1);
    counts
}

#[test]
fn draws_have_the_distribution_of_the_weights() {
    let index = VectorIndex::new(clustered(130, 50, 0.2, 3), 50).unwrap();
    let mechanism = mechanism(&index, index.diameter(), 6.0);
    let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
    let (words, each) = ([3, 100, 70, 129, 17, 40], [600_000, 0, 1, 600_000, 5, 600_000]);
    let mut draws = vec![0; each.iter().sum()];
    sampler.draw_rows(&words, &each, &mut ChaCha20Rng::from_seed([5; 32]), &mut draws);
    let mut rest = &draws[..];
    for (word, each) in words.into_iter().zip(each) {
        let (own, after) = rest.split_at(each);
        rest = after;
        if each < 10 {
            continue;
        }
        let counts = counts(own, 130);
        let score = chi_square_score(&counts, &weights(&index, &mechanism, word));
        assert!(score < 4.0, "{word}: {score}");
        // Another word, and what would be drawn if every proposal counted.
        let score = chi_square_score(&counts, &weights(&index, &mechanism, word / 2 + 1));
        assert!(score > 4.0, "{word} is not told from another word: {score}");
        sampler.bound(&[word]);
        let widths: Vec<u64> = sampler.envelope(0).widths[..130].iter().map(|&width| width.into()).collect();
        let score = chi_square_score(&counts, &widths);
        assert!(score > 4.0, "a missing rejection is not noticed: {score}");
    }
}

#[test]
fn draws_are_accepted_by_the_same_weights_as_a_row_has() {
    // Σ of accepted places is Z: the row's total. Checked word by word in `dp`; here, that both agree on distances.
    let index = VectorIndex::new(clustered(70, 9, 0.2, 3), 9).unwrap();
    let mechanism = mechanism(&index, index.diameter(), 6.0);
    for word in 0..70 {
        let row = mechanism.row((0..70).map(|other| index.distance(word, other)));
        assert_eq!(row.total_weight(), weights(&index, &mechanism, word).iter().sum::<u64>());
    }
}

#[test]
fn one_word_alone_is_drawn_as_among_others() {
    let index = VectorIndex::new(clustered(130, 9, 0.2, 3), 9).unwrap();
    let mechanism = mechanism(&index, index.diameter(), 9.0);
    let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
    let (words, each) = ([7, 129, 64, 7, 0], [40, 30, 20, 10, 5]);
    let mut together = vec![0; 105];
    sampler.draw_rows(&words, &each, &mut ChaCha20Rng::from_seed([6; 32]), &mut together);
    let (mut rng, mut alone) = (ChaCha20Rng::from_seed([6; 32]), Vec::new());
    for (word, each) in words.into_iter().zip(each) {
        let mut draws = vec![0; each];
        sampler.draw_row(word, &mut rng, &mut draws);
        alone.extend(draws);
    }
    assert_eq!(together, alone);
}

#[test]
fn regression_tables_of_tiny_vectors_keep_their_envelopes_above_the_weights() {
    let index = VectorIndex::new(vec![2.762_723_3e-21, 4.093_559_3e-21], 1).unwrap();
    let mechanism = mechanism(&index, index.diameter(), 1.0);
    let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
    sampler.bound(&[0]);
    assert_envelope(&sampler.envelope(0), &weights(&index, &mechanism, 0), mechanism.weight_bits());
}

#[test]
fn a_mechanism_over_another_domain_is_refused() {
    let index = VectorIndex::new(vec![0.0, 1.0, 0.5], 1).unwrap();
    let mechanism = ExponentialMechanism::new(4, 1.0, Epsilon::try_from(1.0).unwrap()).unwrap();
    let error = ExponentialSampler::new(&index, mechanism).map(|_| ()).unwrap_err();
    assert_eq!(error, VectorError::Domain { domain: 4, words: 3 });
}

#[test]
#[should_panic(expected = "room for each draw")]
fn room_for_other_counts_is_refused() {
    let index = VectorIndex::new(vec![0.0, 1.0, 0.5], 1).unwrap();
    let mechanism = mechanism(&index, 1.0, 1.0);
    let mut sampler = ExponentialSampler::new(&index, mechanism).unwrap();
    sampler.draw_rows(&[0, 1], &[2, 2], &mut ChaCha20Rng::from_seed([0; 32]), &mut [0; 3]);
}
