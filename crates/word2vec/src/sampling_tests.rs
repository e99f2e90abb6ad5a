//! Frequencies of draws against the published distributions.

use super::*;

const COUNTS: [u64; 6] = [60_000, 8_000, 900, 256, 16, 1];

/// χ² of 400,000 negatives against probabilities ∝ count^`power`.
fn chi_square(power: f64) -> f64 {
    let negatives = Negatives::new(&COUNTS);
    let mut random = Stream::new(3, 1);
    let mut drawn = [0_u32; COUNTS.len()];
    (0..400_000).for_each(|_| drawn[negatives.draw(&mut random) as usize] += 1);
    let weights = COUNTS.map(|count| (count as f64).powf(power));
    let total: f64 = weights.iter().sum();
    let cell = |(&drawn, weight): (&u32, &f64)| {
        let expected = 400_000.0 * weight / total;
        (f64::from(drawn) - expected).powi(2) / expected
    };
    drawn.iter().zip(&weights).map(cell).sum()
}

#[test]
fn negatives_follow_counts_to_three_quarters() {
    // 5 degrees of freedom: above 25.7 once in 10,000.
    let statistic = chi_square(0.75);
    assert!(statistic < 25.7, "{statistic}");
}

/// Negative control: the same draws are not those of another power.
#[test]
fn negatives_do_not_follow_another_power() {
    assert!(chi_square(0.74) > 25.7 && chi_square(0.76) > 25.7);
}

#[test]
fn every_word_is_reachable_and_equal_counts_have_equal_shares() {
    let negatives = Negatives::new(&[5; 7]);
    let mut random = Stream::new(1, 2);
    let mut drawn = [0_u32; 7];
    (0..70_000).for_each(|_| drawn[negatives.draw(&mut random) as usize] += 1);
    assert!(drawn.iter().all(|&n| (9_500..10_500).contains(&n)), "{drawn:?}");
}

#[test]
fn frequent_words_are_thinned_by_the_rule() {
    let counts = [90_000, 9_000, 999, 1];
    let thresholds = keep_thresholds(&counts, 1e-2);
    let chance = |place: usize| thresholds[place] as f64 / 4_294_967_296.0;
    // t·N = 1000 of 100,000 words: √(1000/90000) + 1000/90000.
    assert!((chance(0) - (1.0 / 90.0_f64).sqrt() - 1.0 / 90.0).abs() < 1e-9);
    assert!((chance(1) - (1.0 / 9.0_f64).sqrt() - 1.0 / 9.0).abs() < 1e-9);
    assert_eq!((chance(2), chance(3)), (1.0, 1.0));
}

#[test]
fn without_sampling_all_words_stay() {
    assert_eq!(keep_thresholds(&[1_000_000, 1], 0.0), [1 << 32; 2]);
}
