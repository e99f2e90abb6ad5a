//! `DPEM`: a vector for each item of a vocabulary.

use perturb::Embedding;

use crate::check::shown;
use crate::fixtures::domain;
use crate::input::sealed;
use crate::memory::bounded;

/// The input is rows and dimension (u32 each), then scales and values; the digests between are put in.
pub fn run(input: &[u8]) {
    let domain = domain();
    bounded(input.len(), || shown(Embedding::from_bytes(input, &domain)));
    let (sizes, values) = input.split_at(input.len().min(8));
    let digests = [*domain.tokenizer_sha256().as_bytes(), *domain.sha256().as_bytes()].concat();
    let file = sealed(b"DPEM\x01\x00", &[sizes, &digests, values].concat());
    let Some(embedding) = bounded(file.len(), || shown(Embedding::from_bytes(&file, &domain))) else {
        return;
    };
    assert_eq!(embedding.to_bytes(), file, "an embedding that was read is written as it was");
    let rows = embedding.rows();
    assert_eq!(rows.len(), domain.len() * embedding.dimension());
    assert!(rows.iter().all(|value| value.is_finite()), "every value is a number");
}
