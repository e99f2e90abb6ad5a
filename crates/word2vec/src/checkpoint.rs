//! A run's state as bytes.
//!
//! # File format, version 1
//! ```text
//! magic "DPWV" | version u16 = 1 | header length u32 | header: JSON
//! for each row, inputs before outputs: last step u32 | values, first moments, second moments: dim f32 each
//! SHA-256 of everything before [32]
//! ```
//! All numbers are little-endian. The random streams derive from the seed and the step's number, so the number of steps is all
//! the random state there is.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::{Engine, RowParts};
use crate::{Config, Corpus, Word2VecError};

const MAGIC: &[u8; 4] = b"DPWV";
/// Raised when older checkpoints can no longer be read.
const VERSION: u16 = 1;
const DIGEST_BYTES: usize = 32;

/// What a checkpoint must have in common with the run that continues it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// With one thread whatever the run has, since any number may go on.
    config: Config,
    corpus_sha256: [u8; 32],
}

impl Identity {
    pub(crate) fn new(config: &Config, corpus: &Corpus) -> Self {
        Self { config: config.with_one_thread(), corpus_sha256: corpus.sha256() }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    identity: Identity,
    /// Steps done.
    done: u64,
}

/// A checkpoint that has been read.
pub(crate) struct State {
    pub(crate) done: usize,
    rows: Vec<OwnedRow>,
}

impl State {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &OwnedRow> {
        self.rows.iter()
    }
}

/// A row with its moments, as a checkpoint has it.
pub(crate) struct OwnedRow {
    step: u32,
    values: Vec<f32>,
}

impl OwnedRow {
    pub(crate) fn parts(&self) -> RowParts<'_> {
        let (values, moments) = self.values.split_at(self.values.len() / 3);
        let (first, second) = moments.split_at(values.len());
        RowParts { values, first, second, step: self.step }
    }
}

/// The checkpoint after `done` steps.
pub(crate) fn write(identity: &Identity, engine: &dyn Engine, done: usize) -> Vec<u8> {
    let header = Header { identity: identity.clone(), done: done as u64 };
    // Plain structs with string keys always serialise.
    let header = serde_json::to_vec(&header).expect("the header is plain data");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&header);
    engine.rows(&mut |row| {
        bytes.extend_from_slice(&row.step.to_le_bytes());
        for value in [row.values, row.first, row.second].into_iter().flatten() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    });
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// Reads a checkpoint of the run `identity`, which has `rows` rows of `dim` values and `steps` steps.
pub(crate) fn read(
    bytes: &[u8],
    identity: &Identity,
    rows: usize,
    dim: usize,
    steps: usize,
) -> Result<State, Word2VecError> {
    let corrupt = Word2VecError::CorruptCheckpoint;
    let rest = bytes.strip_prefix(MAGIC).ok_or(corrupt("its first bytes are wrong"))?;
    let (version, rest) = rest.split_first_chunk().ok_or(corrupt("it has no version"))?;
    if u16::from_le_bytes(*version) != VERSION {
        return Err(Word2VecError::CheckpointMismatch("version of this program"));
    }
    let (body, digest) = bytes.split_at(bytes.len().saturating_sub(DIGEST_BYTES));
    if Sha256::digest(body).as_slice() != digest {
        return Err(corrupt("its hash is wrong"));
    }
    let rest = rest.strip_suffix(digest).ok_or(corrupt("it is too short"))?;
    let (length, rest) = rest.split_first_chunk().ok_or(corrupt("it is too short"))?;
    let header = rest.split_at_checked(u32::from_le_bytes(*length) as usize);
    let (header, rest) = header.ok_or(corrupt("its header is cut"))?;
    let header: Header = serde_json::from_slice(header).map_err(|_| corrupt("its header makes no sense"))?;
    check_identity(&header.identity, identity)?;
    let done = usize::try_from(header.done).ok().filter(|&done| done <= steps);
    let done = done.ok_or(corrupt("it is past the end of the run"))?;
    if rest.len() != rows * (4 + 12 * dim) {
        return Err(corrupt("its rows do not fit the vocabulary"));
    }
    let rows = rest.chunks_exact(4 + 12 * dim).map(|row| read_row(row, done)).collect::<Option<_>>();
    Ok(State { done, rows: rows.ok_or(corrupt("a row is past the run or not finite"))? })
}

fn check_identity(found: &Identity, wanted: &Identity) -> Result<(), Word2VecError> {
    if found.config != wanted.config {
        return Err(Word2VecError::CheckpointMismatch("configuration"));
    }
    if found.corpus_sha256 != wanted.corpus_sha256 {
        return Err(Word2VecError::CheckpointMismatch("corpus"));
    }
    Ok(())
}

fn read_row(bytes: &[u8], done: usize) -> Option<OwnedRow> {
    let (step, values) = bytes.split_first_chunk()?;
    let step = u32::from_le_bytes(*step);
    let values: Vec<f32> = values.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let sound = step as usize <= done && values.iter().all(|value| value.is_finite());
    sound.then_some(OwnedRow { step, values })
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
