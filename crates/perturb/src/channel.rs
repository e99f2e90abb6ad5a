//! The randomised channel that every token passes.
//!
//! # Contract
//! For any two input tokens x, x′ and any output y, P(y | x) ≤ e^ε · P(y | x′): pure ε-local differential privacy of each
//! token, from [`dp::SetRandomizedResponse`] over the [`Domain`]. Tokens of a record are perturbed independently, so a record of
//! n tokens has n·ε. An input outside the domain is perturbed as if it were the domain's first item; a fixed stand-in is
//! one more input of the same channel, so the guarantee covers it.

use dp::{DpError, Epsilon, SetRandomizedResponse};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{Domain, NeighbourTable};

/// Which channel, with its parameters. In JSON an object with a `type`: `{"type": "set-rr", "epsilon": 8, "neighbours": 16}`.
// Room is left for the exponential mechanism and the Gaussian and Laplace nearest-neighbour ones, and for channels over
// words in place of tokens: each is a variant here and an arm in `Channel::new`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Mechanism {
    /// Set randomised response: a token or one of its nearest with weight e^ε, any other with weight 1.
    SetRr {
        /// ε of one token.
        epsilon: Epsilon,
        /// Items in each set, the token itself among them, m.
        neighbours: u32,
    },
    /// k-ary randomised response: the token itself with weight e^ε, any other with weight 1.
    KRr {
        /// ε of one token.
        epsilon: Epsilon,
    },
}

impl Mechanism {
    /// ε of one token.
    pub fn epsilon(&self) -> Epsilon {
        match *self {
            Self::SetRr { epsilon, .. } | Self::KRr { epsilon } => epsilon,
        }
    }

    /// Items that share the high weight, the token itself among them.
    pub fn set_size(&self) -> u32 {
        match *self {
            Self::SetRr { neighbours, .. } => neighbours,
            Self::KRr { .. } => 1,
        }
    }

    /// The integer sampler behind it, over `domain_size` items. The trainer's corrected loss takes its weights.
    ///
    /// # Errors
    /// A [`DpError`] if ε or the set size do not suit the domain.
    pub fn response(&self, domain_size: u32) -> Result<SetRandomizedResponse, DpError> {
        SetRandomizedResponse::new(domain_size, self.set_size(), self.epsilon())
    }
}

/// Why a channel cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// ε or the set size do not suit the domain.
    #[error(transparent)]
    Parameters(#[from] DpError),
    /// Set-RR without its table.
    #[error(
        "the set-rr mechanism needs the model's neighbour table: add the model with its table, or choose k-rr"
    )]
    TableMissing,
    /// The table is of another vocabulary.
    #[error("the neighbour table belongs to another tokenizer: make it again for this model")]
    TableMismatch,
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

/// A mechanism over a vocabulary, ready to perturb.
#[derive(Debug, Clone)]
pub struct Channel {
    mechanism: Mechanism,
    response: SetRandomizedResponse,
    domain: Domain,
    table: Option<NeighbourTable>,
}

impl Channel {
    /// Checks that mechanism, vocabulary and table belong together. A table that the mechanism does not use is dropped.
    ///
    /// # Errors
    /// A [`ChannelError`] that says which of them does not fit.
    pub fn new(
        mechanism: Mechanism,
        domain: Domain,
        table: Option<NeighbourTable>,
    ) -> Result<Self, ChannelError> {
        let table = match mechanism {
            Mechanism::KRr { .. } => None,
            Mechanism::SetRr { neighbours, .. } => {
                let table = table.ok_or(ChannelError::TableMissing)?;
                if !table.belongs_to(&domain) {
                    return Err(ChannelError::TableMismatch);
                }
                if neighbours > table.columns() {
                    return Err(ChannelError::TooManyNeighbours { neighbours, available: table.columns() });
                }
                Some(table)
            }
        };
        let response = mechanism.response(domain.len() as u32)?;
        Ok(Self { mechanism, response, domain, table })
    }

    /// Perturbs each id independently. The output has as many ids, all of them of the domain.
    pub fn perturb_tokens(&self, ids: &[u32], rng: &mut impl CryptoRng) -> Vec<u32> {
        ids.iter().map(|&id| self.perturb_token(id, rng)).collect()
    }

    fn perturb_token(&self, id: u32, rng: &mut impl CryptoRng) -> u32 {
        // See the module: an unknown id passes the channel as the first item, never in clear.
        let item = self.domain.index(id).unwrap_or(0);
        let response = match &self.table {
            Some(table) => self.response.sample(rng, table.neighbours(item, self.mechanism.set_size())),
            None => self.response.sample(rng, &[item]),
        };
        self.domain.id(response)
    }

    /// The mechanism with its parameters.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The integer sampler: weights and probabilities.
    pub fn response(&self) -> &SetRandomizedResponse {
        &self.response
    }

    /// The vocabulary.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The neighbour table, if the mechanism uses one.
    pub fn table(&self) -> Option<&NeighbourTable> {
        self.table.as_ref()
    }

    /// ε of one token.
    pub fn epsilon_per_token(&self) -> f64 {
        self.mechanism.epsilon().get()
    }

    /// ε of a record of `tokens` tokens: they compose, n·ε.
    pub fn epsilon_per_record(&self, tokens: u64) -> f64 {
        tokens as f64 * self.epsilon_per_token()
    }

    /// Chance that a token comes out as it went in.
    pub fn survival_probability(&self) -> f64 {
        self.response.keep_probability()
    }

    /// Share of the tokens that is expected to differ: 1 − [`survival_probability`](Self::survival_probability).
    pub fn expected_share_changed(&self) -> f64 {
        1.0 - self.survival_probability()
    }

    /// Chance that a token comes out as itself or one of its neighbours.
    pub fn neighbour_probability(&self) -> f64 {
        self.response.set_probability()
    }

    /// How many tokens come out with the same, highest chance: among them the true one cannot be told from its output alone.
    pub fn plausible_set_size(&self) -> u32 {
        self.mechanism.set_size()
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
