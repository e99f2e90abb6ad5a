use super::super::test_tables::clustered;
use super::*;

#[test]
fn tables_out_of_range_are_refused() {
    let new = |values: usize, dim| VectorIndex::new(vec![0.5; values], dim).unwrap_err();
    assert_eq!(new(4, 0), VectorError::Dimension(0));
    assert_eq!(new(4096, 1025), VectorError::Dimension(1025));
    assert_eq!(new(0, 2), VectorError::Values { values: 0, dim: 2 });
    assert_eq!(new(2, 2), VectorError::Values { values: 2, dim: 2 });
    assert_eq!(new(5, 2), VectorError::Values { values: 5, dim: 2 });
    for bad in [1.000_001, -1.5, f32::NAN, f32::NEG_INFINITY] {
        let error = VectorIndex::new(vec![0.0, 1.0, -1.0, bad], 2).unwrap_err();
        assert!(matches!(error, VectorError::Coordinate { word: 1, .. }), "{error}");
    }
    let error = VectorIndex::new(vec![0.0, 3.0], 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "a coordinate of word 1 is 3, not in -1 to 1: divide the table by its largest coordinate"
    );
}

#[test]
fn nearest_distances_that_do_not_belong_to_the_table_are_refused() {
    let with = |distances: &[f32]| {
        VectorIndex::with_nearest_distances(vec![0.0, 1.0, 0.5], 1, distances.to_vec()).map(|_| ())
    };
    assert_eq!(with(&[0.5; 3]), Ok(()));
    for bad in [&[0.5, 0.5][..], &[0.5; 4], &[0.5, 0.5, -0.1], &[0.5, f32::NAN, 0.5], &[f32::INFINITY; 3]] {
        let distances = bad.len();
        assert_eq!(with(bad), Err(VectorError::Distances { distances, words: 3 }));
    }
}

#[test]
fn rows_and_distances_are_those_of_the_table() {
    let rows = clustered(20, 7, 0.2, 4);
    let index = VectorIndex::new(rows.clone(), 7).unwrap();
    assert_eq!((index.len(), index.dim()), (20, 7));
    assert_eq!(index.row(3), &rows[21..28]);
    assert_eq!(index.distance(3, 3), 0.0);
    assert_eq!(index.distance(2, 9), index.distance(9, 2));
    let plain = index
        .row(2)
        .iter()
        .zip(index.row(9))
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum::<f64>();
    assert!((index.distance(2, 9) - plain.sqrt()).abs() < 1e-15);
}

// Pinned: a page and a server must measure the same.
#[test]
fn distances_are_summed_in_the_order_that_is_documented() {
    let row: [f32; 6] = [0.1, 0.7, -0.3, 0.9, 0.2, -0.6];
    let index = VectorIndex::new(row.iter().copied().chain([0.0; 6]).collect(), 6).unwrap();
    let square = |i: usize| f64::from(row[i]) * f64::from(row[i]);
    let expected = ((square(0) + square(4)) + (square(1) + square(5))) + (square(2) + square(3));
    assert_eq!(index.distance(0, 1).to_bits(), expected.sqrt().to_bits());
}

#[test]
fn safe_distances_are_just_below_half_of_the_nearest() {
    let index = VectorIndex::new(clustered(50, 10, 0.3, 5), 10).unwrap();
    for (&nearest, &square) in index.nearest_distances().iter().zip(&index.safe_squares) {
        let safe = f64::from(square).sqrt();
        assert!(safe < f64::from(nearest) / 2.0 && safe > f64::from(nearest) / 2.0 * (1.0 - 3e-6));
    }
    let twins = VectorIndex::new(vec![0.5, 0.5, 1.0], 1).unwrap();
    assert_eq!(twins.safe_squares[..2], [0.0; 2], "nothing is safe beside a duplicate");
}
