//! The domain of the vector mechanisms, and its points on a lattice.

use serde::{Deserialize, Serialize};

use super::Sensitivity;

/// Where a vector is brought before noise is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// The unit ball: a longer vector is shortened to L2 norm 1.
    UnitBall,
    /// The cube [−1, 1]^d: each coordinate is clamped on its own.
    Box,
}

impl Region {
    /// The nearest vector inside: each coordinate clamped, or the whole shortened. One with a NaN or an infinity becomes zero.
    ///
    /// In f32, for the public tables that noisy vectors are compared with; what noise is added to is a lattice point.
    pub fn project(self, vector: &mut [f32]) {
        if !vector.iter().all(|value| value.is_finite()) {
            return vector.fill(0.0);
        }
        match self {
            Self::Box => vector.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0)),
            Self::UnitBall => {
                let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
                if norm > 1.0 {
                    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
                }
            }
        }
    }

    /// The lattice point of `vector`, in steps of 1/`radius`: rounded towards zero, and in the region by integer
    /// arithmetic. A vector with a NaN or an infinity counts as zero.
    ///
    /// Coordinates are integers of at most ⌊radius⌋ in size; in the ball the squared norm is at most ⌊radius²⌋. `radius`
    /// is at most 2⁴⁵, so that f64 holds them. `point` is as long as `vector`.
    pub(super) fn point_into(self, vector: &[f32], radius: f64, point: &mut [f64]) {
        // Without a way out in the middle, so that it is done in vectors.
        if !vector.iter().fold(true, |finite, value| finite & value.is_finite()) {
            return point.fill(0.0);
        }
        match self {
            Self::Box => {
                let limit = truncate(radius);
                for (c, &x) in point.iter_mut().zip(vector) {
                    *c = truncate((f64::from(x) * radius).clamp(-limit, limit));
                }
            }
            Self::UnitBall => ball_point_into(vector, radius, point),
        }
    }

    /// [`point_into`](Self::point_into) as integers.
    #[cfg(test)]
    pub(super) fn point(self, vector: &[f32], radius: f64) -> Vec<i64> {
        let mut point = vec![0.0; vector.len()];
        self.point_into(vector, radius, &mut point);
        point.into_iter().map(|c| c as i64).collect()
    }

    /// The largest L2 distance of two points, over `radius`; never below it.
    pub(super) fn l2_diameter(self, dimension: usize) -> f64 {
        match self {
            Self::UnitBall => 2.0,
            Self::Box => (2.0 * (dimension as f64).sqrt()).next_up(),
        }
    }

    /// The largest L1 distance of two points of the lattice of 2^`log2_radius` steps to 1, in steps.
    ///
    /// In the ball the L1 norm is at most √d times the L2 norm, so its square is at most d·4^`log2_radius`, an integer.
    pub(super) fn l1_diameter(self, dimension: usize, log2_radius: u32) -> u128 {
        match self {
            Self::UnitBall => 2 * ((dimension as u128) << (2 * log2_radius)).isqrt(),
            Self::Box => (2 * dimension as u128) << log2_radius,
        }
    }

    /// [`l1_diameter`](Self::l1_diameter) in the vectors' unit.
    pub(super) fn l1_sensitivity(self, dimension: usize, log2_radius: u32) -> Sensitivity {
        let steps = self.l1_diameter(dimension, log2_radius) as f64;
        Sensitivity::L1((steps / (1_u64 << log2_radius) as f64).next_up())
    }
}

/// The points of vectors of one dimension, one after the other, which fill `points`.
///
/// # Panics
/// If a vector has another dimension, or there are not as many as `points` has room for.
pub(super) fn points_into<'v>(
    region: Region,
    dimension: usize,
    radius: f64,
    vectors: impl IntoIterator<Item = &'v [f32]>,
    points: &mut [f64],
) {
    let mut places = points.chunks_mut(dimension);
    for vector in vectors {
        assert_eq!(vector.len(), dimension, "the vector must have the mechanism's dimension");
        let place = places.next().filter(|place| place.len() == dimension);
        // Stated as a panic of the two public callers.
        let place = place.unwrap_or_else(|| panic!("there must be room for each vector"));
        region.point_into(vector, radius, place);
    }
    assert!(places.next().is_none(), "there must be a vector for all of the room");
}

fn ball_point_into(vector: &[f32], radius: f64, point: &mut [f64]) {
    // Rounded down by more than the square is rounded up.
    let max_energy = (radius * radius * (1.0 - 1e-15)) as u128;
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let mut scale = radius / norm.max(1.0);
    // As a rule rounding towards zero leaves more room than f64 takes; if not, ever larger cuts end it.
    let mut cut = 1e-12;
    loop {
        let mut energy = 0_u128;
        for (c, &x) in point.iter_mut().zip(vector) {
            let integer = (f64::from(x) * scale) as i64;
            energy += square(integer.unsigned_abs());
            *c = integer as f64;
        }
        if energy <= max_energy {
            return;
        }
        scale *= 1.0 - cut;
        cut = (2.0 * cut).min(1.0);
    }
}

/// The integer next to `x` towards zero, for sizes of at most 2⁴⁵. In operations that every processor has in vectors.
fn truncate(x: f64) -> f64 {
    // At this size the distance of two f64 is 1, so the sum is rounded to an integer.
    const SHIFT: f64 = (1_u64 << 52) as f64;
    let nearest = (x.abs() + SHIFT) - SHIFT;
    let down = if nearest > x.abs() { nearest - 1.0 } else { nearest };
    down.copysign(x)
}

/// In 64 bits where they hold it, which spares WASM the call that a 128-bit product is.
fn square(value: u64) -> u128 {
    u32::try_from(value)
        .map_or_else(|_| u128::from(value).pow(2), |value| u128::from(u64::from(value) * u64::from(value)))
}

#[cfg(test)]
#[path = "region_tests.rs"]
mod tests;
