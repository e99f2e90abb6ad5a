//! Cosines and sines of a rotary position embedding.

use kernels::{Isa, ops};

use crate::model::architecture::Rope;

/// The table of one [`Rope`] for positions from 0.
pub(crate) struct Rotary {
    /// `[positions, n]`
    cos: Vec<f32>,
    sin: Vec<f32>,
    n: usize,
}

impl Rotary {
    pub(crate) fn new(rope: &Rope, positions: usize) -> Self {
        let angles = (0..positions).flat_map(|p| rope.inverse_frequencies.iter().map(move |f| p as f64 * f));
        let (cos, sin) =
            angles.map(|a| ((a.cos() * rope.scale) as f32, (a.sin() * rope.scale) as f32)).unzip();
        Self { cos, sin, n: rope.inverse_frequencies.len() }
    }

    /// Turns the first `heads` heads of rows that start `stride` values apart; row i stands at position i. The way back
    /// (`direction` −1) is the transpose of the way there, also where a scale makes it no rotation.
    pub(crate) fn turn(
        &self,
        isa: Isa,
        x: &mut [f32],
        stride: usize,
        heads: usize,
        head_dim: usize,
        direction: f32,
    ) {
        ops::rotate(isa, x, stride, heads, head_dim, &self.cos, &self.sin, self.n, direction);
    }
}
