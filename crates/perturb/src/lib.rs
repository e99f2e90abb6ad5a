//! Local differential privacy over text: vocabulary, neighbour tables, channels and their manifest.
//!
//! The owner's text becomes tokens, each token passes a randomised channel on the owner's machine, and only the output
//! leaves it:
//!
//! ```text
//! bytes ─ text ─▶ records ─ Lexicon ─▶ ids ─ Channel(Mechanism, Domain, Tables) ─▶ ids ─ tokens ─▶ DPTK file
//! ```
//!
//! Invariant: every token of every record passes the channel, whose promise holds for every input token. What is not
//! hidden: the number of records and the number of tokens in each.
//!
//! Reading order: [`text`] → [`Tokenizer`] or [`words`] and [`Vocabulary`], [`Lexicon`], [`Domain`] → [`NeighbourTable`],
//! [`Embedding`] → [`Mechanism`], [`vectors`], [`Channel`] → [`Manifest`] → [`tokens`] → [`Perturber`], [`Reading`], [`Run`] → [`numbers`], [`attack`]. Builds for `wasm32-unknown-unknown`;
//! randomness is always an argument.

pub mod attack;
mod bytes;
mod channel;
mod digest;
mod domain;
mod drawing;
mod embedding;
mod json_record;
pub mod language_model;
mod lexicon;
mod manifest;
mod mechanism;
mod nearest;
mod neighbour_table;
pub mod numbers;
mod parallel;
mod perturber;
mod reading;
mod run;
mod sampler;
mod sealed;
mod shown;
mod table_error;
mod template_tokenizer;
#[cfg(test)]
mod test_fixtures;
pub mod text;
mod tokenizer;
pub mod tokens;
pub mod vectors;
mod vocabulary;
pub mod words;

pub use channel::{Channel, ChannelError, Tables};
pub use digest::Sha256Digest;
pub use domain::Domain;
pub use dp::PrivacyUnit;
pub use embedding::Embedding;
pub use lexicon::Lexicon;
pub use manifest::{ChannelUnit, Counts, EmbeddingName, Manifest, ManifestError, Notion, Weights};
pub use mechanism::{Mechanism, Needs};
pub use neighbour_table::{DEFAULT_NEIGHBOURS, MAX_NEIGHBOURS, NeighbourTable};
pub use perturber::{PerturbError, PerturbedText, Perturber, Preview};
pub use reading::{Encoded, Reading};
pub use run::Run;
pub use shown::Shown;
pub use table_error::TableError;
pub use template_tokenizer::TemplateTokenizer;
pub use tokenizer::{Tokenizer, TokenizerError};
pub use tokens::Payload;
pub use vocabulary::{UNKNOWN, Vocabulary};
