//! How a mechanism draws outputs for items of a domain.

use dp::mechanism::{ExponentialMechanism, Region, VectorGaussian, VectorLaplace};
use dp::{Epsilon, SetRandomizedResponse};
use rand::CryptoRng;

use crate::channel::{ChannelError, Tables};
use crate::vectors::{ExponentialSampler, VectorIndex};
use crate::{Domain, Embedding, Mechanism, NeighbourTable};

/// A mechanism with its tables, over items (not ids) of one domain.
#[derive(Debug)]
pub(crate) enum Sampler {
    /// The two-level responses; without a table each item's set is itself.
    Response { response: SetRandomizedResponse, table: Option<NeighbourTable> },
    /// Noise on the item's vector, then the item with the nearest one.
    Noisy { noise: Noise, index: Box<VectorIndex> },
    /// A draw by distance.
    Exponential { mechanism: ExponentialMechanism, index: Box<VectorIndex> },
}

/// Noise on a vector.
#[derive(Debug)]
pub(crate) enum Noise {
    Gaussian(VectorGaussian),
    Laplace(VectorLaplace),
}

impl Sampler {
    /// The sampler of a mechanism whose tables were checked to be those of `domain`.
    pub(crate) fn new(mechanism: Mechanism, domain: &Domain, tables: &Tables) -> Result<Self, ChannelError> {
        if let Some(response) = mechanism.response(domain.len() as u32)? {
            return Ok(Self::Response { response, table: tables.neighbours.clone() });
        }
        let missing = ChannelError::EmbeddingMissing { mechanism: mechanism.name() };
        let embedding = tables.embedding.as_ref().ok_or(missing)?;
        let dimension = embedding.dimension();
        let noisy =
            |noise, region| Ok(Self::Noisy { noise, index: Box::new(projected(embedding, region, tables)?) });
        match mechanism {
            Mechanism::Gaussian { standard_deviation, region, .. } => {
                noisy(Noise::Gaussian(VectorGaussian::new(dimension, region, standard_deviation)?), region)
            }
            Mechanism::Laplace { epsilon, region } => {
                noisy(Noise::Laplace(VectorLaplace::new(dimension, region, epsilon)?), region)
            }
            Mechanism::Exponential { epsilon } => exponential(epsilon, embedding),
            Mechanism::SetRr { .. } | Mechanism::KRr { .. } => {
                unreachable!("the two-level mechanisms have a response, and returned above")
            }
        }
    }

    /// Whether all places of an item are best drawn together.
    pub(crate) fn goes_by_item(&self) -> bool {
        matches!(self, Self::Exponential { .. })
    }

    /// Replaces each item by an output.
    pub(crate) fn draw(&self, items: &mut [u32], rng: &mut impl CryptoRng) {
        match self {
            Self::Response { response, table: Some(table) } => {
                let size = response.set_size();
                items.iter_mut().for_each(|item| *item = response.sample(rng, table.neighbours(*item, size)));
            }
            Self::Response { response, table: None } => {
                items.iter_mut().for_each(|item| *item = response.sample(rng, &[*item]));
            }
            Self::Noisy { noise, index } => {
                let originals = items.to_vec();
                let mut noisy = vec![0.0; items.len() * index.dim()];
                let rows = originals.iter().map(|&item| index.row(item));
                match noise {
                    Noise::Gaussian(noise) => noise.sample_into(rng, rows, &mut noisy),
                    Noise::Laplace(noise) => noise.sample_into(rng, rows, &mut noisy),
                }
                index.nearest_batch(&originals, &noisy, items);
            }
            Self::Exponential { .. } => {
                items
                    .iter_mut()
                    .for_each(|item| self.draw_groups(&[*item], &[1], rng, std::slice::from_mut(item)));
            }
        }
    }

    /// `counts[i]` outputs of the item `items[i]`, one item after another.
    pub(crate) fn draw_groups(
        &self,
        items: &[u32],
        counts: &[usize],
        rng: &mut impl CryptoRng,
        outputs: &mut [u32],
    ) {
        match self {
            Self::Exponential { mechanism, index } => {
                let sampler = ExponentialSampler::new(index, *mechanism);
                // `exponential` made the mechanism for this very index.
                let mut sampler = sampler.expect("the mechanism is over the words of the index");
                sampler.draw_rows(items, counts, rng, outputs);
            }
            _ => {
                let mut rest = outputs;
                for (&item, &count) in items.iter().zip(counts) {
                    let (own, others) = rest.split_at_mut(count);
                    own.fill(item);
                    self.draw(own, rng);
                    rest = others;
                }
            }
        }
    }

    /// About how many nanoseconds a browser takes for `items` different items with `count` outputs in all.
    pub(crate) fn cost(&self, items: usize, count: usize) -> usize {
        match self {
            Self::Response { .. } => 100 * count,
            // Between the short cut's three thousand and the full search's hundred thousand.
            Self::Noisy { .. } => 10_000 * count,
            Self::Exponential { index, .. } => 4 * index.len() as usize * items + 300 * count,
        }
    }
}

/// The vectors brought into the region: what a noisy one is compared with.
///
/// A neighbour table makes the search much faster, and is believed: see [`VectorIndex::with_neighbours`]. So only tables from where the
/// code comes from may be given for a noisy mechanism, as the page does with those of whole words; without one, distances are
/// measured here.
fn projected(embedding: &Embedding, region: Region, tables: &Tables) -> Result<VectorIndex, ChannelError> {
    let dim = embedding.dimension();
    let mut rows = embedding.rows();
    let mut moved = false;
    for row in rows.chunks_exact_mut(dim) {
        let before = row.to_vec();
        region.project(row);
        moved |= before != row;
    }
    // Neighbours are of the vectors as they were.
    match tables.neighbours.as_ref().filter(|table| !moved && table.columns() > 1) {
        Some(table) => {
            let columns = table.columns() as usize;
            Ok(VectorIndex::with_neighbours(rows, dim, table.items().to_vec(), columns)?)
        }
        // A browser would take a quarter of a minute to measure them for 100,000 words; zeros are never wrong and only cost the short cut.
        None if cfg!(target_arch = "wasm32") => {
            let words = rows.len() / dim;
            Ok(VectorIndex::with_nearest_distances(rows, dim, vec![0.0; words])?)
        }
        None => Ok(VectorIndex::new(rows, dim)?),
    }
}

fn exponential(epsilon: Epsilon, embedding: &Embedding) -> Result<Sampler, ChannelError> {
    let mut rows = embedding.rows();
    let largest = rows.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest > 1.0 {
        // Only distances relative to the largest one count, so any scale is the same mechanism.
        rows.iter_mut().for_each(|x| *x /= largest);
        rows.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
    }
    let words = (rows.len() / embedding.dimension()) as u32;
    // Distances to the nearest are for noisy vectors; zeros are never wrong.
    let index = Box::new(VectorIndex::with_nearest_distances(
        rows,
        embedding.dimension(),
        vec![0.0; words as usize],
    )?);
    let mechanism = ExponentialMechanism::new(words, index.diameter_bound(), epsilon)?;
    Ok(Sampler::Exponential { mechanism, index })
}
