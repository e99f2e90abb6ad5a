//! How near and how far words are from one another.

use super::VectorIndex;
use super::search::{BLOCK, Search, Sense};
use crate::parallel;

impl VectorIndex {
    /// Each word's distance to its nearest other word, rounded down.
    pub(super) fn measure_nearest_distances(&self) -> Vec<f32> {
        let mut distances = vec![0.0; self.len() as usize];
        let blocks = distances.chunks_mut(BLOCK).enumerate().collect();
        parallel::for_each(blocks, |(block, distances): (usize, &mut [f32])| {
            let queries = self.block(block, 1.0);
            let mut search = Search::new(self, Sense::Nearest);
            let vectors: Vec<&[f64]> = queries.chunks_exact(self.dim()).collect();
            search.scan(&vectors);
            for (place, distance) in distances.iter_mut().enumerate() {
                let word = (block * BLOCK + place) as u32;
                let nearest = search.best(place, vectors[place], Some(word)).word;
                // Another row may be nearer by what the scores of both can be off; squares are twice the scores.
                let slack = 4.0 * search.rounding_error(vectors[place]);
                let square = self.distance(word, nearest).powi(2) - slack;
                *distance = ((square.max(0.0).sqrt() * (1.0 - 1e-12)) as f32).next_down().max(0.0);
            }
        });
        distances
    }

    /// The largest [`distance`](Self::distance) of two words, from all pairs, natively on all cores: what costs least
    /// noise as the exponential mechanism's largest distance. Never below it; its square is above by 10⁻¹⁰ of the
    /// longest vector's at most.
    ///
    /// Takes as long as [`new`](Self::new), so it is measured once and kept with the table.
    pub fn diameter(&self) -> f64 {
        let mut largest = vec![0.0_f64; (self.len() as usize).div_ceil(BLOCK)];
        let blocks = largest.iter_mut().enumerate().collect();
        parallel::for_each(blocks, |(block, largest): (usize, &mut f64)| {
            // The furthest from v is found from −v.
            let queries = self.block(block, -1.0);
            let mut search = Search::new(self, Sense::Furthest);
            let vectors: Vec<&[f64]> = queries.chunks_exact(self.dim()).collect();
            search.scan(&vectors);
            for (place, vector) in vectors.iter().enumerate() {
                let furthest = search.best(place, vector, None).word;
                let square = self.distance((block * BLOCK + place) as u32, furthest).powi(2);
                *largest = largest.max(square + 4.0 * search.rounding_error(vector));
            }
        });
        largest.into_iter().fold(0.0, f64::max).sqrt() * (1.0 + 1e-12)
    }

    /// A number that no [`distance`](Self::distance) of two words is above: twice the largest distance from the mean,
    /// rounded up. At once, but up to twice the [`diameter`](Self::diameter).
    pub fn diameter_bound(&self) -> f64 {
        let mut mean = vec![0.0; self.dim()];
        for row in self.rows.chunks_exact(self.dim()) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x));
        }
        mean.iter_mut().for_each(|mean| *mean /= f64::from(self.len()));
        let from_mean = |row| super::arithmetic::square_distance(&mean, row);
        let radius = self.rows.chunks_exact(self.dim()).map(from_mean).fold(0.0, f64::max).sqrt();
        // The triangle inequality holds for any point in the mean's place; the rest is rounding, of d terms each.
        2.0 * radius * (1.0 + 1e-12)
    }

    /// The rows of one block, times `sign`.
    fn block(&self, block: usize, sign: f64) -> Vec<f64> {
        let begin = block * BLOCK * self.dim();
        let end = (begin + BLOCK * self.dim()).min(self.rows.len());
        self.rows[begin..end].iter().map(|&x| sign * f64::from(x)).collect()
    }
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;
