use proptest::prelude::*;

use super::*;
use crate::test_fixtures::embedding;

/// The definition: sort all others by f64 distance, then index.
fn by_definition(rows: &[f32], dim: usize, count: usize) -> Vec<u32> {
    let all: Vec<&[f32]> = rows.chunks_exact(dim).collect();
    let neighbours = |query: usize| {
        let mut others: Vec<u32> = (0..all.len() as u32).filter(|&other| other as usize != query).collect();
        others.sort_by(|&a, &b| {
            let distance = |other: u32| square_distance(all[query], all[other as usize]);
            distance(a).total_cmp(&distance(b)).then(a.cmp(&b))
        });
        std::iter::once(query as u32).chain(others).take(count).collect::<Vec<_>>()
    };
    (0..all.len()).flat_map(neighbours).collect()
}

#[test]
fn neighbours_of_random_rows_are_those_of_the_definition() {
    // Sizes around the block, the lanes and the short list.
    for (rows, dim, count) in [(2, 1, 1), (5, 3, 5), (64, 16, 8), (65, 17, 32), (300, 40, 32), (129, 7, 1)] {
        let matrix = embedding(rows, dim);
        assert_eq!(
            nearest_rows(&matrix, dim, count),
            by_definition(&matrix, dim, count),
            "{rows} × {dim}, {count}"
        );
    }
}

#[test]
fn ties_go_by_index_even_when_there_are_more_than_the_short_list_holds() {
    // All rows equal: the f32 pass cannot tell any apart, so the whole matrix is measured.
    let rows = vec![0.25_f32; 200 * 4];
    let result = nearest_rows(&rows, 4, 6);
    assert_eq!(result[..6], [0, 1, 2, 3, 4, 5]);
    assert_eq!(result[150 * 6..][..6], [150, 0, 1, 2, 3, 4]);
}

#[test]
fn distances_that_f32_cannot_tell_apart_are_told_apart() {
    // A large common offset drowns differences of 1e-3 in the f32 products.
    let rows: Vec<f32> = (0..150).map(|row| 1000.0 + ((row * 37) % 150) as f32 * 1e-3).collect();
    assert_eq!(nearest_rows(&rows, 1, 10), by_definition(&rows, 1, 10));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn neighbours_of_rows_with_many_ties_are_those_of_the_definition(
        values in prop::collection::vec(-2_i8..=2, 2..400), dim in 1_usize..4, count in 1_usize..40,
    ) {
        let rows: Vec<f32> = values[..values.len() / dim * dim].iter().map(|&value| f32::from(value)).collect();
        prop_assume!(!rows.is_empty());
        let count = count.min(rows.len() / dim);
        prop_assert_eq!(nearest_rows(&rows, dim, count), by_definition(&rows, dim, count));
    }
}
