//! The mechanisms that a token can be perturbed by, with their parameters.

use dp::mechanism::{Region, VectorGaussian, VectorLaplace};
use dp::{Contract, Delta, DpError, Epsilon, SetRandomizedResponse};
use serde::{Deserialize, Serialize};

/// Which channel, with its parameters. In JSON an object with a `type`: `{"type": "set-rr", "epsilon": 8, "neighbours": 16}`.
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
    /// The exponential mechanism: the nearer a token's vector, the likelier.
    Exponential {
        /// ε of one token.
        epsilon: Epsilon,
    },
    /// Gaussian noise on the token's vector, then the token whose vector is nearest.
    Gaussian {
        /// Standard deviation of the noise on each coordinate, σ.
        standard_deviation: f64,
        /// The δ that ε is stated at.
        delta: Delta,
        /// Where vectors are brought before the noise.
        region: Region,
    },
    /// Laplace noise on the token's vector, then the token whose vector is nearest.
    Laplace {
        /// ε of one token.
        epsilon: Epsilon,
        /// Where vectors are brought before the noise.
        region: Region,
    },
}

/// Which public tables a mechanism works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// A [`NeighbourTable`](crate::NeighbourTable).
    Neighbours,
    /// An [`Embedding`](crate::Embedding).
    Embedding,
}

impl Mechanism {
    /// Set randomised response with the set size, of those up to `columns`, that tells a reader most at this ε: see
    /// [`SetRandomizedResponse::most_informative`]. `columns` are those of the neighbour table.
    ///
    /// # Errors
    /// A [`DpError`] if ε does not suit the domain.
    pub fn set_rr(epsilon: Epsilon, domain_size: u32, columns: u32) -> Result<Self, DpError> {
        let response = SetRandomizedResponse::most_informative(domain_size, columns, epsilon)?;
        Ok(Self::SetRr { epsilon, neighbours: response.set_size() })
    }

    /// The integer sampler of a two-level mechanism, over `domain_size` items; `None` for the others.
    ///
    /// # Errors
    /// A [`DpError`] if ε or the set size do not suit the domain.
    pub fn response(&self, domain_size: u32) -> Result<Option<SetRandomizedResponse>, DpError> {
        match *self {
            Self::SetRr { epsilon, neighbours } => {
                SetRandomizedResponse::new(domain_size, neighbours, epsilon).map(Some)
            }
            Self::KRr { epsilon } => SetRandomizedResponse::new(domain_size, 1, epsilon).map(Some),
            _ => Ok(None),
        }
    }

    /// The tables that it works with.
    pub fn needs(&self) -> Needs {
        match self {
            Self::SetRr { .. } => Needs::Neighbours,
            Self::KRr { .. } => Needs::Nothing,
            _ => Needs::Embedding,
        }
    }

    /// What is promised for vectors of `dimension` values, for one token and for many.
    ///
    /// # Errors
    /// A [`DpError`] if the parameters do not suit the dimension. The other mechanisms' contracts do not depend on it.
    pub fn contract(&self, dimension: usize) -> Result<Contract, DpError> {
        match *self {
            Self::SetRr { epsilon, .. } | Self::KRr { epsilon } | Self::Exponential { epsilon } => {
                Ok(Contract::per_item(epsilon))
            }
            Self::Gaussian { standard_deviation, delta, region } => {
                Ok(VectorGaussian::new(dimension, region, standard_deviation)?.contract(delta))
            }
            Self::Laplace { epsilon, region } => {
                Ok(VectorLaplace::new(dimension, region, epsilon)?.contract())
            }
        }
    }

    /// The name that the command line and the manifest have for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetRr { .. } => "set-rr",
            Self::KRr { .. } => "k-rr",
            Self::Exponential { .. } => "exponential",
            Self::Gaussian { .. } => "gaussian",
            Self::Laplace { .. } => "laplace",
        }
    }
}

#[cfg(test)]
#[path = "mechanism_tests.rs"]
mod tests;
