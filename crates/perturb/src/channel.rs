//! The randomised channel that every token passes.
//!
//! # Contract
//! Each token is perturbed on its own by one [`Mechanism`] over the [`Domain`], and what is promised for any two input
//! tokens is that mechanism's [`Contract`]: pure ε-LDP for all but the Gaussian one, which has a δ. Tokens of a record compose. An
//! input outside the domain is perturbed as if it were the domain's first item; a fixed stand-in is one more input of the
//! same channel, so the guarantee covers it. What the tables hold changes which outputs are likely, never the promise.

use std::sync::Arc;

use dp::{Contract, DpError, SetRandomizedResponse};
use rand::CryptoRng;

use crate::drawing::Drawing;
use crate::sampler::Sampler;
use crate::vectors::VectorError;
use crate::{Domain, Embedding, Mechanism, Needs, NeighbourTable};

/// The public tables of a vocabulary, as far as there are any. A channel takes those that its mechanism needs.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Which items are near which.
    pub neighbours: Option<NeighbourTable>,
    /// The items' vectors.
    pub embedding: Option<Embedding>,
}

impl From<Option<NeighbourTable>> for Tables {
    fn from(neighbours: Option<NeighbourTable>) -> Self {
        Self { neighbours, embedding: None }
    }
}

/// Why a channel cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The parameters do not suit the domain or the vectors.
    #[error(transparent)]
    Parameters(#[from] DpError),
    /// The vectors cannot be searched.
    #[error(transparent)]
    Vectors(#[from] VectorError),
    /// Set-RR without its table.
    #[error(
        "the set-rr mechanism needs the model's neighbour table: add the model with its table, or choose k-rr"
    )]
    TableMissing,
    /// A vector mechanism without vectors.
    #[error("the {mechanism} mechanism needs an embedding: give one, or choose set-rr or k-rr")]
    EmbeddingMissing {
        /// The mechanism's name.
        mechanism: &'static str,
    },
    /// A table of another vocabulary.
    #[error("the {table} belongs to another vocabulary: make it again for this one")]
    Mismatch {
        /// The kind of table.
        table: &'static str,
    },
    /// The table is too narrow.
    #[error(
        "{neighbours} neighbours are asked for and the model's table has {available}: ask for at most {available}"
    )]
    TooManyNeighbours {
        /// The set size asked for.
        neighbours: u32,
        /// Columns of the table.
        available: u32,
    },
}

/// A mechanism over a vocabulary, ready to perturb. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    mechanism: Mechanism,
    contract: Contract,
    domain: Domain,
    tables: Arc<Tables>,
    sampler: Arc<Sampler>,
}

impl Channel {
    /// Checks that mechanism, vocabulary and tables belong together. Tables that the mechanism does not use are dropped.
    ///
    /// # Errors
    /// A [`ChannelError`] that says which of them does not fit.
    pub fn new(
        mechanism: Mechanism,
        domain: Domain,
        tables: impl Into<Tables>,
    ) -> Result<Self, ChannelError> {
        let tables = checked(mechanism, &domain, tables.into())?;
        let dimension = tables.embedding.as_ref().map_or(1, Embedding::dimension);
        let contract = mechanism.contract(dimension)?;
        let sampler = Sampler::new(mechanism, &domain, &tables)?;
        Ok(Self { mechanism, contract, domain, tables: Arc::new(tables), sampler: Arc::new(sampler) })
    }

    /// Perturbs each id independently. The output has as many ids, all of them of the domain.
    pub fn perturb_tokens(&self, ids: &[u32], rng: &mut impl CryptoRng) -> Vec<u32> {
        let mut drawing = Drawing::new(self, ids.to_vec());
        while !drawing.is_done() {
            drawing.step(self, rng, usize::MAX);
        }
        drawing.into_ids()
    }

    pub(crate) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// The mechanism with its parameters.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What is promised for one token and for many.
    pub fn contract(&self) -> Contract {
        self.contract
    }

    /// The integer sampler of a two-level mechanism: weights and probabilities.
    pub fn response(&self) -> Option<&SetRandomizedResponse> {
        match &*self.sampler {
            Sampler::Response { response, .. } => Some(response),
            _ => None,
        }
    }

    /// The vocabulary.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The neighbour table, if the mechanism uses one.
    pub fn table(&self) -> Option<&NeighbourTable> {
        self.tables.neighbours.as_ref().filter(|_| self.mechanism.needs() == Needs::Neighbours)
    }

    /// The embedding, if the mechanism uses one.
    pub fn embedding(&self) -> Option<&Embedding> {
        self.tables.embedding.as_ref()
    }
}

fn checked(mechanism: Mechanism, domain: &Domain, tables: Tables) -> Result<Tables, ChannelError> {
    match mechanism.needs() {
        Needs::Nothing => Ok(Tables::default()),
        Needs::Neighbours => {
            let table = tables.neighbours.ok_or(ChannelError::TableMissing)?;
            if !table.belongs_to(domain) {
                return Err(ChannelError::Mismatch { table: "neighbour table" });
            }
            let available = table.columns();
            match mechanism {
                Mechanism::SetRr { neighbours, .. } if neighbours > available => {
                    Err(ChannelError::TooManyNeighbours { neighbours, available })
                }
                _ => Ok(Tables { neighbours: Some(table), embedding: None }),
            }
        }
        Needs::Embedding => {
            let missing = ChannelError::EmbeddingMissing { mechanism: mechanism.name() };
            let embedding = tables.embedding.ok_or(missing)?;
            if !embedding.belongs_to(domain) {
                return Err(ChannelError::Mismatch { table: "embedding" });
            }
            // Of use, but not needed: see `sampler`.
            let neighbours = tables.neighbours.filter(|table| table.belongs_to(domain));
            Ok(Tables { neighbours, embedding: Some(embedding) })
        }
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
