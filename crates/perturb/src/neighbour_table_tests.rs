use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{byte_fallback_json, embedding, table, tokenizer, tokenizer_of};

fn small_domain() -> Domain {
    Domain::new(vec![1, 2, 4, 7], Sha256Digest::of(b"t")).unwrap()
}

const HEADER_BYTES: usize = 4 + 2 + 4 + 4 + 32;
const DIGEST_BYTES: usize = 32;
const CORRUPT: TableError = TableError::Corrupt { table: "neighbour table" };
const MAGIC: TableError = TableError::Magic { table: "neighbour table" };
const MISMATCH: TableError = TableError::Mismatch { table: "neighbour table" };

/// A file with its digest made anew, so that only the change under test is wrong.
fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let body = bytes.len() - DIGEST_BYTES;
    change(&mut bytes[..body]);
    let digest = Sha256Digest::of(&bytes[..body]);
    bytes[body..].copy_from_slice(digest.as_bytes());
    bytes
}

fn set_id(bytes: &mut [u8], index: usize, id: u32) {
    bytes[HEADER_BYTES + index * 4..][..4].copy_from_slice(&id.to_le_bytes());
}

#[test]
fn rows_of_other_ids_are_ignored() {
    // One value a row; the domain's ids 1, 2, 4 and 7 lie at 10, 11, 20 and 22, all others right beside 10.
    let line = [10.0, 10.0, 11.0, 10.1, 20.0, 10.1, 10.1, 22.0, 10.0];
    let table = NeighbourTable::build(&line, 1, &small_domain(), 3).unwrap();
    let rows: Vec<&[u32]> = (0..4).map(|item| table.neighbours(item, 3)).collect();
    assert_eq!(rows, [&[0, 1, 2][..], &[1, 0, 2], &[2, 3, 1], &[3, 2, 1]]);
    assert_eq!(table.neighbours(2, 1), [2]);
}

#[test]
fn a_narrower_table_is_a_prefix_of_a_wider_one() {
    let tokenizer = tokenizer();
    let (wide, narrow) = (table(&tokenizer, 32), table(&tokenizer, 5));
    for item in 0..tokenizer.domain().len() as u32 {
        assert_eq!(wide.neighbours(item, 5), narrow.neighbours(item, 5));
        assert_eq!(wide.neighbours(item, 1), [item]);
    }
    assert_ne!(wide.sha256(), narrow.sha256());
}

#[test]
fn a_table_comes_back_from_its_bytes() {
    let tokenizer = tokenizer();
    let table = table(&tokenizer, 16);
    let bytes = table.to_bytes(tokenizer.domain()).unwrap();
    assert_eq!(bytes.len(), HEADER_BYTES + 262 * 16 * 4 + DIGEST_BYTES);
    assert_eq!(NeighbourTable::from_bytes(&bytes, tokenizer.domain()).unwrap(), table);
    assert_eq!(table.sha256().as_bytes(), &bytes[bytes.len() - 32..]);
}

#[test]
fn a_table_of_another_tokenizer_is_refused() {
    let (tokenizer, other) = (tokenizer(), tokenizer_of(&byte_fallback_json()));
    let table = table(&tokenizer, 4);
    let bytes = table.to_bytes(tokenizer.domain()).unwrap();
    assert_eq!(NeighbourTable::from_bytes(&bytes, other.domain()), Err(MISMATCH));
    assert_eq!(table.to_bytes(other.domain()), Err(MISMATCH));
    assert!(!table.belongs_to(other.domain()));
}

#[test]
fn files_that_are_no_tables_say_so() {
    let domain = tokenizer().domain().clone();
    let read = |bytes: &[u8]| NeighbourTable::from_bytes(bytes, &domain).unwrap_err();
    assert_eq!(read(b""), MAGIC);
    assert_eq!(read(b"PK\x03\x04"), MAGIC);
    assert_eq!(read(b"DPNT"), CORRUPT);
    assert_eq!(read(b"DPNT\x02\x00"), TableError::Version { table: "neighbour table", version: 2, known: 1 });
    assert_eq!(read(b"DPNT\x01\x00"), CORRUPT);
    assert_eq!(read(&resealed([&b"DPNT\x01\x00"[..], &[0; 32]].concat(), |_| ())), CORRUPT);
}

#[test]
fn rows_that_are_no_sets_are_refused_even_with_a_right_digest() {
    let domain = small_domain();
    let table = NeighbourTable::build(&embedding(8, 2), 2, &domain, 3).unwrap();
    let bytes = table.to_bytes(&domain).unwrap();
    let read = |bytes: &[u8]| NeighbourTable::from_bytes(bytes, &domain);
    // Each of row 1: not its own token first; a token twice; an id outside the domain; beyond the vocabulary.
    for (column, id) in [(0, 1), (0, 4), (1, 2), (1, 3), (2, 8), (2, u32::MAX)] {
        let changed = resealed(bytes.clone(), |body| set_id(body, 3 + column, id));
        assert_eq!(read(&changed), Err(TableError::Row { row: 1 }), "column {column}, id {id}");
    }
    for (columns, error) in [
        (0_u32, TableError::Columns { columns: 0, rows: 4 }),
        (4, TableError::Columns { columns: 4, rows: 4 }),
        (u32::MAX, TableError::Columns { columns: u32::MAX, rows: 4 }),
        (2, CORRUPT),
    ] {
        let changed = resealed(bytes.clone(), |body| body[10..14].copy_from_slice(&columns.to_le_bytes()));
        assert_eq!(read(&changed), Err(error));
    }
    let changed = resealed(bytes, |body| body[6..10].copy_from_slice(&u32::MAX.to_le_bytes()));
    assert_eq!(read(&changed), Err(MISMATCH));
}

#[test]
fn matrices_and_widths_that_do_not_fit_are_refused() {
    let domain = small_domain();
    let build = |embedding: &[f32], dim, columns| {
        NeighbourTable::build(embedding, dim, &domain, columns).unwrap_err()
    };
    assert_eq!(build(&[0.0; 7], 1, 2), TableError::Embedding { values: 7, dim: 1, max_id: 7 });
    assert_eq!(build(&[0.0; 17], 2, 2), TableError::Embedding { values: 17, dim: 2, max_id: 7 });
    assert_eq!(build(&[], 0, 2), TableError::Embedding { values: 0, dim: 0, max_id: 7 });
    for columns in [0, 4, 33, MAX_NEIGHBOURS + 1] {
        assert_eq!(build(&[0.0; 8], 1, columns), TableError::Columns { columns, rows: 4 });
    }
    let mut damaged = [0.0; 8];
    damaged[4] = f32::NAN;
    assert_eq!(build(&damaged, 1, 2), TableError::NotFinite { id: 4 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_changed_byte_or_cut_is_an_error(position: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
        let domain = small_domain();
        let bytes = NeighbourTable::build(&embedding(8, 2), 2, &domain, 3).unwrap().to_bytes(&domain).unwrap();
        let mut changed = bytes.clone();
        changed[position.index(bytes.len())] ^= flip;
        prop_assert!(NeighbourTable::from_bytes(&changed, &domain).is_err());
        prop_assert!(NeighbourTable::from_bytes(&bytes[..cut.index(bytes.len())], &domain).is_err());
    }
}
