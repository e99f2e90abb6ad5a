//! Word vectors: skip-gram with negative sampling, trained by sparse AdamW on all cores.
//!
//! The vectors are the public geometry that perturbation mechanisms need: which words lie near which. They are made of a public
//! text, so training has no privacy to keep; the [`Clip`] region bounds what mechanisms that add noise must cover.
//!
//! ```text
//! text ─▶ Corpus (Vocabulary, numbered text) ─▶ Trainer: parts, checkpoints ─▶ WordVectors ─▶ evaluate
//! ```
//!
//! Reading order: [`Config`] → [`Corpus`] → [`Trainer`] → the step (`skip_gram`) and its optimiser (`adamw`) → [`evaluate`].
//!
//! ```
//! use word2vec::{Config, Corpus, Settings, Trainer};
//!
//! let text = "the cat sat on the mat the dog sat on the mat".repeat(50);
//! let config = Config::new(Settings { dim: 8, epochs: 1, ..Settings::default() })?;
//! let mut trainer = Trainer::new(config.clone(), Corpus::read(text.as_bytes(), &config)?)?;
//! trainer.run(&|_progress| ());
//! let vectors = trainer.into_vectors();
//! assert_eq!(vectors.words[0], "the");
//! assert!(vectors.rows.iter().all(|value| (-1.0..=1.0).contains(value)));
//! # Ok::<(), word2vec::Word2VecError>(())
//! ```

mod adamw;
mod batch;
mod checkpoint;
mod clip;
mod config;
mod corpus;
mod engine;
mod error;
pub mod evaluate;
mod lanes;
mod matrix;
mod random;
mod sampling;
mod skip_gram;
#[cfg(test)]
mod test_texts;
mod trainer;
mod vectors;

pub use clip::Clip;
pub use config::{Config, Settings};
pub use corpus::{Corpus, Vocabulary};
pub use error::Word2VecError;
pub use trainer::{Progress, Trainer};
pub use vectors::WordVectors;
