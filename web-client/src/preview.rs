//! The owner's text beside an example of what would be sent for it.

use perturb::Perturber;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;

use crate::error::WorkbenchError;

/// Records that a preview shows: as many as fit a screen.
pub(crate) const PREVIEW_RECORDS: usize = 6;
/// Tokens of a record that a preview shows.
pub(crate) const PREVIEW_TOKENS: usize = 60;
/// Bytes of a record that a preview looks at: more than [`PREVIEW_TOKENS`] tokens of any ordinary text.
const PREVIEW_BYTES: usize = 2048;

/// One record beside an example of what would be sent for it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PreviewRecord {
    /// The original's first tokens as text.
    pub original: String,
    /// The tokens after perturbation.
    pub pieces: Vec<Piece>,
    /// True when the record goes on.
    pub cut: bool,
}

/// One perturbed token.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Its text; bytes that are no character by themselves are U+FFFD.
    pub text: String,
    /// Whether it differs from the original token.
    pub swapped: bool,
}

/// Perturbs the beginning of `record`.
pub(crate) fn preview_record(
    perturber: &Perturber,
    record: &str,
    rng: &mut ChaCha20Rng,
) -> Result<PreviewRecord, WorkbenchError> {
    let shown = &record[..record.floor_char_boundary(PREVIEW_BYTES)];
    let preview = perturber.preview(shown, rng)?;
    let tokens = preview.original_ids.len().min(PREVIEW_TOKENS);
    let pieces = (0..tokens).map(|at| Piece {
        text: preview.perturbed[at].clone(),
        swapped: preview.original_ids[at] != preview.perturbed_ids[at],
    });
    Ok(PreviewRecord {
        original: perturber.decode(&preview.original_ids[..tokens]),
        pieces: pieces.collect(),
        cut: tokens < preview.original_ids.len() || shown.len() < record.len(),
    })
}
