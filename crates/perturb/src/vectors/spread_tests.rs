use proptest::prelude::*;

use super::super::test_tables::{clustered, tables};
use super::*;

// The smallest distance to another word, and the largest of all.
fn by_definition(index: &VectorIndex) -> (Vec<f64>, f64) {
    let distances = |word: u32| {
        (0..index.len()).filter(move |&other| other != word).map(move |other| index.distance(word, other))
    };
    let nearest = (0..index.len()).map(|word| distances(word).fold(f64::INFINITY, f64::min)).collect();
    (nearest, (0..index.len()).flat_map(distances).fold(0.0, f64::max))
}

fn assert_spread(rows: Vec<f32>, dim: usize) {
    let index = VectorIndex::new(rows, dim).unwrap();
    let (nearest, largest) = by_definition(&index);
    for (&actual, expected) in index.nearest_distances().iter().zip(nearest) {
        let actual = f64::from(actual);
        // The square is known to a part in 10¹¹ of the norms' squares; for a tiny distance beside them that is most of it.
        let norm = index.panels.largest_norm();
        let least = (expected.powi(2) - 1e-10 * norm * norm).max(0.0).sqrt() * (1.0 - 1e-6) - 1e-40;
        assert!((least..=expected).contains(&actual), "{actual} for {expected}");
    }
    let (diameter, norm) = (index.diameter(), index.panels.largest_norm());
    let most = (largest.powi(2) + 1e-10 * norm * norm).sqrt() * (1.0 + 1e-9) + 1e-40;
    assert!((largest..=most).contains(&diameter), "{diameter} for {largest}");
    let bound = index.diameter_bound();
    assert!(bound >= largest && bound <= 2.0 * largest * (1.0 + 1e-9) + 1e-40, "{bound} for {largest}");
}

#[test]
fn larger_tables_are_measured_exactly() {
    for (words, dim) in [(500, 50), (129, 3), (128, 300), (65, 1024)] {
        assert_spread(clustered(words, dim, 0.2, 6), dim);
    }
}

#[test]
fn two_words_are_as_near_as_they_are_far() {
    assert_spread(vec![-1.0, 1.0], 1);
    assert_spread(vec![0.0; 100], 50);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nearest_and_furthest_are_those_of_the_definition((rows, dim) in tables()) {
        assert_spread(rows, dim);
    }
}
