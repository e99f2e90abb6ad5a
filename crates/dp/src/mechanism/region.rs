//! The domain of the vector mechanisms, and its points on a lattice.

use super::Sensitivity;

/// Where a vector is brought before noise is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// The unit ball: a longer vector is shortened to L2 norm 1.
    UnitBall,
    /// The cube [−1, 1]^d: each coordinate is clamped on its own.
    Box,
}

impl Region {
    /// The lattice point of `vector`, in steps of 1/`radius`: rounded towards zero, and in the region by integer
    /// arithmetic. A vector with a NaN or an infinity counts as zero.
    ///
    /// Coordinates are at most ⌊radius⌋ in size; in the ball the squared norm is at most ⌊radius²⌋. `radius` is at
    /// most 2⁴⁵, so that f64 holds what is rounded.
    pub(super) fn point(self, vector: &[f32], radius: f64) -> Vec<i64> {
        if !vector.iter().all(|value| value.is_finite()) {
            return vec![0; vector.len()];
        }
        match self {
            Self::Box => {
                let limit = radius as i64;
                vector.iter().map(|&x| ((f64::from(x) * radius) as i64).clamp(-limit, limit)).collect()
            }
            Self::UnitBall => ball_point(vector, radius),
        }
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

fn ball_point(vector: &[f32], radius: f64) -> Vec<i64> {
    // Rounded down by more than the square is rounded up.
    let max_energy = (radius * radius * (1.0 - 1e-15)) as u128;
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let mut scale = radius / norm.max(1.0);
    // As a rule rounding towards zero leaves more room than f64 takes; if not, ever larger cuts end it.
    let mut cut = 1e-12;
    loop {
        let point: Vec<i64> = vector.iter().map(|&x| (f64::from(x) * scale) as i64).collect();
        if point.iter().map(|c| u128::from(c.unsigned_abs()).pow(2)).sum::<u128>() <= max_energy {
            return point;
        }
        scale *= 1.0 - cut;
        cut = (2.0 * cut).min(1.0);
    }
}

#[cfg(test)]
#[path = "region_tests.rs"]
mod tests;
