//! Local differential privacy over text: vocabulary, neighbour tables, channels and their manifest.
//!
//! The owner's text becomes tokens, each token passes a randomised channel on the owner's machine, and only the output
//! leaves it:
//!
//! ```text
//! bytes ─ text ─▶ records ─ Tokenizer ─▶ token ids ─ Channel(Mechanism, Domain, NeighbourTable) ─▶ ids ─ tokens ─▶ DPTK file
//! ```
//!
//! Invariant: every token of every record passes the channel, and the channel is ε-LDP for every input token. What is not
//! hidden: the number of records and the number of tokens in each.
//!
//! Reading order: [`text`] → [`Tokenizer`], [`Domain`] → [`NeighbourTable`] → [`Mechanism`], [`Channel`] → [`Manifest`] →
//! [`tokens`] → [`Perturber`]. Builds for `wasm32-unknown-unknown`; randomness is always an argument.

mod bytes;
mod channel;
mod digest;
mod domain;
mod manifest;
mod nearest;
mod neighbour_table;
mod parallel;
mod perturber;
mod session;
#[cfg(test)]
mod test_fixtures;
pub mod text;
mod tokenizer;
pub mod tokens;

pub use channel::{Channel, ChannelError, Mechanism};
pub use digest::Sha256Digest;
pub use domain::Domain;
pub use dp::PrivacyUnit;
pub use manifest::{ChannelUnit, Counts, Manifest, ManifestError, Notion, Weights};
pub use neighbour_table::{MAX_NEIGHBOURS, NeighbourTable, TableError};
pub use perturber::{PerturbError, PerturbedText, Perturber, Preview};
pub use session::{Progress, Session};
pub use tokenizer::{Tokenizer, TokenizerError};
