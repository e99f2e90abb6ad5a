//! `DPVO`: the words that word mode knows.

use perturb::Vocabulary;

use crate::check::shown;
use crate::input::sealed;
use crate::memory::bounded;

const HEAD: &[u8] = b"DPVO\x01\x00";

/// The input is what stands between the file's head and its digest.
pub fn run(input: &[u8]) {
    bounded(input.len(), || shown(Vocabulary::from_bytes(input)));
    let file = sealed(HEAD, input);
    let Some(vocabulary) = bounded(file.len(), || shown(Vocabulary::from_bytes(&file))) else { return };
    assert_eq!(vocabulary.to_bytes(), file, "a vocabulary that was read is written as it was");
    let ids = vocabulary.domain().ids();
    let text = vocabulary.decode(ids);
    assert_eq!(text.split_whitespace().count(), ids.len(), "words of a record can be counted");
}
