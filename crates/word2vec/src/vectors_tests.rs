//! Parts that fit, and parts that do not.

use super::*;

fn build(words: usize, counts: usize, dim: usize, values: usize) -> Result<WordVectors, Word2VecError> {
    let words = (0..words).map(|n| n.to_string()).collect();
    WordVectors::new(words, vec![1; counts], dim, (0..values).map(|n| n as f32).collect())
}

#[test]
fn rows_stand_one_after_the_other() {
    let vectors = build(3, 3, 2, 6).unwrap();
    assert_eq!((vectors.row(0), vectors.row(2)), (&[0.0, 1.0][..], &[4.0, 5.0][..]));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    for (words, counts, dim, values) in [(3, 2, 2, 6), (3, 3, 2, 5), (3, 3, 0, 0), (0, 0, 0, 0)] {
        let error = build(words, counts, dim, values).unwrap_err();
        assert!(matches!(error, Word2VecError::Shape { .. }), "{error}");
    }
}
