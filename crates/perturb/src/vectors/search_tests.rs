use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::super::test_tables::{clustered, nearest_by_definition, tables, uniform};
use super::*;

fn noisy(index: &VectorIndex, words: &[u32], size: f64, seed: u8) -> Vec<f64> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut of = |word: u32| -> Vec<f64> {
        index.row(word).iter().map(|&x| f64::from(x) + size * uniform(&mut rng)).collect()
    };
    words.iter().flat_map(|&word| of(word)).collect()
}

fn search(index: &VectorIndex, words: &[u32], noisy: &[f64]) -> Vec<u32> {
    let mut nearest = vec![u32::MAX; words.len()];
    index.nearest_batch(words, noisy, &mut nearest);
    nearest
}

fn by_definition(index: &VectorIndex, noisy: &[f64]) -> Vec<u32> {
    noisy.chunks_exact(index.dim()).map(|vector| nearest_by_definition(index, vector)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn results_are_those_of_the_definition(
        (rows, dim) in tables(), log_size in -8.0_f64..30.0, seed: u8, count in 1_usize..300,
    ) {
        let index = VectorIndex::new(rows, dim).unwrap();
        let words: Vec<u32> = (0..count as u32).map(|place| place * 31 % index.len()).collect();
        let noisy = noisy(&index, &words, log_size.exp(), seed);
        prop_assert_eq!(search(&index, &words, &noisy), by_definition(&index, &noisy));
    }

    // In halves all sums are exact, so the definition by distances has the same ties.
    #[test]
    fn of_equal_distances_the_first_word_wins(
        halves in prop::collection::vec(-2_i8..=2, 2..600), dim in 1_usize..5, seed: u8,
    ) {
        let rows: Vec<f32> = halves[..halves.len() / dim * dim].iter().map(|&x| f32::from(x) / 2.0).collect();
        prop_assume!(rows.len() >= 2 * dim);
        let index = VectorIndex::new(rows, dim).unwrap();
        let words: Vec<u32> = (0..index.len()).collect();
        let noisy: Vec<f64> = noisy(&index, &words, 2.0, seed).iter().map(|x| (x * 4.0).round() / 4.0).collect();
        let first_smallest = |vector: &[f64]| {
            let distance = |word: u32| square_distance(vector, index.row(word));
            (0..index.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap()
        };
        let expected: Vec<u32> = noisy.chunks_exact(dim).map(first_smallest).collect();
        prop_assert_eq!(search(&index, &words, &noisy), expected);
    }
}

#[test]
fn larger_tables_and_all_sizes_of_noise_agree_with_the_definition() {
    for (words, dim) in [(1003, 50), (700, 51), (300, 300), (130, 1024)] {
        let index = VectorIndex::new(clustered(words, dim, 0.15, 7), dim).unwrap();
        let words: Vec<u32> = (0..260).map(|place| place * 97 % index.len()).collect();
        for size in [0.0, 0.05, 0.2, 1.0, 1e3, 1e12] {
            let noisy = noisy(&index, &words, size, 8);
            let found = search(&index, &words, &noisy);
            assert_eq!(found, by_definition(&index, &noisy), "{dim} {size}");
            let moved = found.iter().zip(&words).filter(|(found, word)| found != word).count();
            assert!(
                if size <= 0.05 { moved == 0 } else { size < 1e3 || moved > 200 },
                "{dim} {size}: {moved}"
            );
        }
    }
}

#[test]
fn the_short_cut_takes_what_is_near_and_changes_nothing() {
    let rows = clustered(400, 20, 0.2, 9);
    let index = VectorIndex::new(rows.clone(), 20).unwrap();
    let without = VectorIndex::with_nearest_distances(rows, 20, vec![0.0; 400]).unwrap();
    let words: Vec<u32> = (0..400).collect();
    let (mut near, mut far) = (0, 0);
    // Around half of the nearest distance, where the short cut begins.
    for step in 0..20 {
        let noisy = noisy(&index, &words, 0.02 * f64::from(step), step as u8);
        assert_eq!(search(&index, &words, &noisy), search(&without, &words, &noisy));
        for (vector, &word) in noisy.chunks_exact(20).zip(&words) {
            let safe =
                square_distance(vector, index.row(word)) < f64::from(index.safe_squares[word as usize]);
            if safe { near += 1 } else { far += 1 }
        }
    }
    assert!(near > 2000 && far > 2000, "{near} {far}");
}

#[test]
fn the_comparison_notices_a_short_cut_that_is_too_long() {
    let rows = clustered(400, 20, 0.2, 9);
    let index = VectorIndex::new(rows.clone(), 20).unwrap();
    let careless = index.nearest_distances().iter().map(|nearest| 4.0 * nearest).collect();
    let careless = VectorIndex::with_nearest_distances(rows, 20, careless).unwrap();
    let words: Vec<u32> = (0..400).collect();
    let noisy = noisy(&index, &words, 0.4, 1);
    assert_ne!(search(&careless, &words, &noisy), by_definition(&index, &noisy));
}

#[test]
fn rows_that_a_mechanism_moves_first_are_no_special_case() {
    // Norms of about 2, which the unit ball halves: each noisy vector is far from its own word.
    let index = VectorIndex::new(clustered(300, 12, 0.3, 3), 12).unwrap();
    let mechanism = dp::mechanism::VectorGaussian::new(12, dp::mechanism::Region::UnitBall, 0.01).unwrap();
    let words: Vec<u32> = (0..300).collect();
    let mut noisy = vec![0.0; 300 * 12];
    let rows = words.iter().map(|&word| index.row(word));
    mechanism.sample_into(&mut ChaCha20Rng::from_seed([4; 32]), rows, &mut noisy);
    let found = search(&index, &words, &noisy);
    assert_eq!(found, by_definition(&index, &noisy));
    assert!(found != words);
}

#[test]
fn one_far_vector_in_a_block_does_not_spoil_the_others() {
    let index = VectorIndex::new(clustered(200, 9, 0.2, 3), 9).unwrap();
    let words: Vec<u32> = (0..100).collect();
    let mut noisy = noisy(&index, &words, 0.8, 2);
    noisy[9 * 50..9 * 51].iter_mut().for_each(|x| *x *= 1e60);
    assert_eq!(search(&index, &words, &noisy), by_definition(&index, &noisy));
}

#[test]
fn nothing_is_found_for_no_word() {
    let index = VectorIndex::new(vec![0.0, 1.0], 1).unwrap();
    assert!(search(&index, &[], &[]).is_empty());
}

#[test]
fn a_vector_that_is_none_is_refused() {
    let index = VectorIndex::new(vec![0.0, 1.0, 0.5, -1.0], 2).unwrap();
    for bad in [f64::NAN, f64::INFINITY, -1e101] {
        assert!(std::panic::catch_unwind(|| search(&index, &[1], &[0.0, bad])).is_err(), "{bad}");
    }
    assert_eq!(search(&index, &[1], &[0.0, 1e100]), [0]);
}

#[test]
#[should_panic(expected = "a noisy vector for each word")]
fn a_vector_too_many_is_refused() {
    search(&VectorIndex::new(vec![0.0, 1.0], 1).unwrap(), &[0], &[0.0, 0.0]);
}

/// The `columns` nearest words of each, by the definition.
fn lists(index: &VectorIndex, columns: usize) -> Vec<u32> {
    let list = |word: u32| {
        let mut others: Vec<u32> = (0..index.len()).collect();
        others.sort_by(|&a, &b| {
            let rank = |other| (other != word, index.distance(word, other));
            rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1))
        });
        others.truncate(columns);
        others
    };
    (0..index.len()).flat_map(list).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn lists_of_neighbours_change_nothing((rows, dim) in tables(), log_size in -6.0_f64..3.0, seed: u8, columns in 2_usize..9) {
        let without = VectorIndex::new(rows.clone(), dim).unwrap();
        let columns = columns.min(without.len() as usize);
        let index = VectorIndex::with_neighbours(rows, dim, lists(&without, columns), columns).unwrap();
        let words: Vec<u32> = (0..200).map(|place| place * 31 % index.len()).collect();
        let noisy = noisy(&index, &words, log_size.exp(), seed);
        prop_assert_eq!(search(&index, &words, &noisy), by_definition(&index, &noisy));
    }
}

#[test]
fn lists_are_used_and_a_wrong_one_would_be_noticed() {
    let rows = clustered(400, 20, 0.2, 9);
    let plain = VectorIndex::new(rows.clone(), 20).unwrap();
    let right = lists(&plain, 8);
    let index = VectorIndex::with_neighbours(rows.clone(), 20, right.clone(), 8).unwrap();
    let words: Vec<u32> = (0..400).collect();
    let covered = |noisy: &[f64], word: u32| {
        let square = square_distance(&noisy[word as usize * 20..][..20], index.row(word));
        square >= f64::from(index.safe_squares[word as usize])
            && index.lists.as_ref().unwrap().covering(word, square).is_some()
    };
    let sizes = [0.05, 0.1, 0.15, 0.2, 0.3].map(|size| noisy(&index, &words, size, 11));
    let used = |noisy: &Vec<f64>| words.iter().filter(|&&word| covered(noisy, word)).count();
    assert!(sizes.iter().map(used).sum::<usize>() > 40);
    for noisy in &sizes {
        assert_eq!(search(&index, &words, noisy), by_definition(&index, noisy));
    }
    let noisy = &sizes[4];
    // Lists that end far away and leave out what is near.
    let mut wrong = right;
    for list in wrong.chunks_mut(8) {
        let far = (list[0] + 200) % 400;
        list[1..].fill(far);
    }
    let wrong = VectorIndex::with_neighbours(rows, 20, wrong, 8).unwrap();
    assert_ne!(search(&wrong, &words, noisy), by_definition(&index, noisy));
}

#[test]
fn lists_of_another_table_are_refused() {
    let rows = vec![0.5; 12];
    for (items, columns) in [(vec![0; 11], 2), (vec![0; 6], 1), (vec![9; 12], 2), (vec![], 2)] {
        let error = VectorIndex::with_neighbours(rows.clone(), 2, items, columns).unwrap_err();
        assert!(matches!(error, super::super::VectorError::Distances { words: 6, .. }), "{error:?}");
    }
}
