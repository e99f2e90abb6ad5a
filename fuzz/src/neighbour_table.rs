//! `DPNT`: which items of a vocabulary are near which.

use perturb::NeighbourTable;

use crate::check::shown;
use crate::fixtures::domain;
use crate::input::sealed;
use crate::memory::bounded;

/// The input is rows and columns (u32 each), then the ids; the digest between is put in.
pub fn run(input: &[u8]) {
    let domain = domain();
    bounded(input.len(), || shown(NeighbourTable::from_bytes(input, &domain)));
    let (sizes, ids) = input.split_at(input.len().min(8));
    let file = sealed(b"DPNT\x01\x00", &[sizes, domain.tokenizer_sha256().as_bytes(), ids].concat());
    let Some(table) = bounded(file.len(), || shown(NeighbourTable::from_bytes(&file, &domain))) else {
        return;
    };
    assert_eq!(table.to_bytes(&domain).as_deref(), Ok(&*file), "a table that was read is written as it was");
    for item in 0..domain.len() as u32 {
        let mut row = table.neighbours(item, table.columns()).to_vec();
        assert_eq!(row.first(), Some(&item), "a row begins with its own item");
        row.sort_unstable();
        row.dedup();
        assert_eq!(row.len(), table.columns() as usize, "a row is a set");
        assert!(row.iter().all(|&item| (item as usize) < domain.len()));
    }
}
