//! What the page asks of the channel, as JavaScript writes it.

use dp::mechanism::{Region, VectorGaussian};
use dp::{Delta, DpError, Epsilon};
use perturb::{Embedding, Mechanism, NeighbourTable, Tables};
use serde::Deserialize;

/// The δ of one word where the guarantee is not pure: the customary ceiling, and that of the original service.
const DELTA: f64 = 1e-5;

/// How text is to be scrambled: `{"mechanism": "set-rr", "strength": 8}`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Which mechanism.
    pub mechanism: Kind,
    /// ε of one token; for [`Kind::GaussianNoise`] the standard deviation of the noise.
    pub strength: f64,
}

/// The mechanisms that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Set randomised response, with the most informative set size; without a neighbour table k-ary randomised response.
    SetRr,
    /// k-ary randomised response.
    KRr,
    /// The exponential mechanism.
    Exponential,
    /// Gaussian noise in the unit ball, by ε.
    Gaussian,
    /// Gaussian noise in the box, by its standard deviation: what the original service had.
    GaussianNoise,
    /// Laplace noise in the unit ball.
    Laplace,
}

impl Setting {
    /// The mechanism for a vocabulary of `domain_size` items with these tables.
    ///
    /// # Errors
    /// A [`DpError`] if the strength is none, or does not suit the vocabulary.
    pub fn mechanism(&self, domain_size: u32, tables: &Tables) -> Result<Mechanism, DpError> {
        let epsilon = || Epsilon::try_from(self.strength);
        let delta = Delta::try_from(DELTA)?;
        Ok(match self.kind(tables) {
            Kind::SetRr => Mechanism::set_rr(
                epsilon()?,
                domain_size,
                tables.neighbours.as_ref().map_or(1, NeighbourTable::columns),
            )?,
            Kind::KRr => Mechanism::KRr { epsilon: epsilon()? },
            Kind::Exponential => Mechanism::Exponential { epsilon: epsilon()? },
            Kind::Laplace => Mechanism::Laplace { epsilon: epsilon()?, region: Region::UnitBall },
            Kind::GaussianNoise => {
                Mechanism::Gaussian { standard_deviation: self.strength, delta, region: Region::Box }
            }
            Kind::Gaussian => {
                let dimension = tables.embedding.as_ref().map_or(1, Embedding::dimension);
                let region = Region::UnitBall;
                let noise = VectorGaussian::with_epsilon(dimension, region, epsilon()?, delta)?;
                Mechanism::Gaussian { standard_deviation: noise.standard_deviation(), delta, region }
            }
        })
    }

    fn kind(&self, tables: &Tables) -> Kind {
        match self.mechanism {
            Kind::SetRr if tables.neighbours.is_none() => Kind::KRr,
            kind => kind,
        }
    }
}
