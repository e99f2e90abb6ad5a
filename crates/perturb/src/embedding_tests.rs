use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{embedding, resealed, vocabulary};

fn domain() -> Domain {
    Domain::new(vec![1, 2, 4], Sha256Digest::of(b"t")).unwrap()
}

fn file() -> Vec<u8> {
    Embedding::quantise(&embedding(5, 6), 6, &domain()).unwrap().to_bytes()
}

#[test]
fn rows_are_those_of_the_domain_to_half_a_step() {
    let matrix = embedding(5, 6);
    let embedding = Embedding::quantise(&matrix, 6, &domain()).unwrap();
    let rows = embedding.rows();
    assert_eq!((rows.len(), embedding.dimension()), (18, 6));
    for (row, id) in rows.chunks_exact(6).zip([1, 2, 4]) {
        let original = &matrix[id * 6..][..6];
        let largest = original.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        for (rounded, x) in row.iter().zip(original) {
            assert!((rounded - x).abs() <= largest / 127.0 * 0.501, "{rounded} for {x}");
            assert!(rounded.abs() <= largest * 1.000_001);
        }
    }
}

#[test]
fn zeros_stay_zeros() {
    let zero = Embedding::quantise(&[0.0; 10], 2, &domain()).unwrap();
    assert_eq!(zero.rows(), [0.0; 6]);
    assert_eq!(Embedding::from_bytes(&zero.to_bytes(), &domain()).unwrap(), zero);
}

#[test]
fn an_embedding_comes_back_from_its_bytes() {
    let read = Embedding::from_bytes(&file(), &domain()).unwrap();
    assert_eq!(read.to_bytes(), file());
    assert!(file().ends_with(read.sha256().as_bytes()));
    assert!(read.belongs_to(&domain()));
}

#[test]
fn matrices_that_do_not_fit_are_refused() {
    let quantise = |matrix: &[f32], dim| Embedding::quantise(matrix, dim, &domain()).unwrap_err();
    for (values, dim) in [(4, 1), (9, 2), (0, 1), (10, 0)] {
        assert_eq!(quantise(&vec![0.0; values], dim), TableError::Embedding { values, dim, max_id: 4 });
    }
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(quantise(&[0.0, 0.0, bad, 0.0, 0.0], 1), TableError::NotFinite { id: 2 });
        assert!(Embedding::quantise(&[bad, 0.0, 0.0, bad, 0.0], 1, &domain()).is_ok(), "rows of other ids");
    }
}

#[test]
fn files_of_another_vocabulary_or_shape_are_refused() {
    let other = vocabulary();
    let read = |bytes: &[u8]| Embedding::from_bytes(bytes, &domain()).unwrap_err();
    assert_eq!(
        Embedding::from_bytes(&file(), other.domain()),
        Err(TableError::Mismatch { table: "embedding" })
    );
    let narrower = Domain::new(vec![1, 2], Sha256Digest::of(b"t")).unwrap();
    assert_eq!(Embedding::from_bytes(&file(), &narrower), Err(TableError::Mismatch { table: "embedding" }));
    assert_eq!(read(b"DPVO"), TableError::Magic { table: "embedding" });
    for change in [
        (|bytes| bytes[6] = 4) as fn(&mut Vec<u8>),
        |bytes| bytes[10] = 5,
        |bytes| bytes[10..14].copy_from_slice(&u32::MAX.to_le_bytes()),
        |bytes| bytes[10..14].copy_from_slice(&0_u32.to_le_bytes()),
        |bytes| bytes.truncate(70),
    ] {
        assert_eq!(read(&resealed(file(), change)), TableError::Corrupt { table: "embedding" });
    }
    for scale in [f32::NAN, f32::INFINITY, -1.0] {
        let changed = resealed(file(), |bytes| bytes[82..86].copy_from_slice(&scale.to_le_bytes()));
        assert_eq!(read(&changed), TableError::NotFinite { id: 2 });
    }
}

proptest! {
    #[test]
    fn any_changed_byte_or_cut_is_an_error(position: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
        let bytes = file();
        let mut changed = bytes.clone();
        changed[position.index(bytes.len())] ^= flip;
        prop_assert!(Embedding::from_bytes(&changed, &domain()).is_err());
        prop_assert!(Embedding::from_bytes(&bytes[..cut.index(bytes.len())], &domain()).is_err());
    }
}
