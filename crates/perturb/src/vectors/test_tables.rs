//! Small tables of vectors for tests, and what is nearest by definition.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::VectorIndex;
use super::arithmetic::{half_square_norm, product};

/// About −1 … 1 in steps that f32 holds.
pub(super) fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    f64::from(rng.next_u32() >> 8) / f64::from(1 << 23) - 1.0
}

/// Rows in clusters of about eight, so that words have near and far others.
pub(super) fn clustered(words: usize, dim: usize, within: f64, seed: u8) -> Vec<f32> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let centres: Vec<f64> = (0..words.div_ceil(8) * dim).map(|_| 0.7 * uniform(&mut rng)).collect();
    let coordinate = |place: usize| centres[(place / dim / 8) * dim + place % dim];
    (0..words * dim)
        .map(|place| (coordinate(place) + within * uniform(&mut rng)).clamp(-1.0, 1.0) as f32)
        .collect()
}

/// The first of the largest scores, by looking at every row.
pub(super) fn nearest_by_definition(index: &VectorIndex, vector: &[f64]) -> u32 {
    let mut best = (0, f64::NEG_INFINITY);
    for word in 0..index.len() {
        let score = product(vector, index.row(word)) - half_square_norm(index.row(word));
        if score > best.1 {
            best = (word, score);
        }
    }
    best.0
}

/// Any table: sizes around lanes, tiles and chunks; rows with duplicates, zeros, ties and single large coordinates.
pub(super) fn tables() -> impl Strategy<Value = (Vec<f32>, usize)> {
    (2_usize..200, 1_usize..20, any::<u8>(), 0..5_u8).prop_map(|(words, dim, seed, kind)| {
        let mut rows = clustered(words, dim, 0.2, seed);
        match kind {
            0 => rows.iter_mut().for_each(|x| *x = (*x * 2.0).round() / 2.0),
            1 => rows.iter_mut().for_each(|x| *x *= 1e-20),
            2 => rows.iter_mut().step_by(7).for_each(|x| *x = 0.0),
            3 => {
                let half = words / 2 * dim;
                let (first, second) = rows.split_at_mut(half);
                second[..half].copy_from_slice(first);
            }
            _ => {}
        }
        (rows, dim)
    })
}
