//! The ziggurat of the rounded Gaussian: 256 rectangles of equal area, in integers.
//!
//! # Contract
//! Marsaglia & Tsang (2000), on the integers n ≥ 0 instead of the half line. Layer i is the set of points (n, y) with
//! 0 ≤ n < wᵢ and yᵢ ≤ y < yᵢ₊₁, where
//!
//! ```text
//! y₀ = 0,    wᵢ = #{n ≥ 0 : f(n) > yᵢ},    yᵢ₊₁ = yᵢ + ⌊area / wᵢ⌋,    y₂₅₆ ≥ f(0)
//! ```
//!
//! and f is [`density`]. The layers cover the region under f, but for the columns beyond w₀ = 13σ. So a point drawn
//! evenly from a layer drawn evenly, and kept if y < f(n), has P(n) proportional to f(n). It surely lies below f if
//! n < wᵢ₊₁, which spares 98 % of the draws the look at y.
//!
//! # Error
//! Per kept point, in total variation: below 2⁻¹⁰⁵. The density is within 2⁻¹¹⁸ at heights that, over all layers,
//! have a mean reciprocal below 2⁹ (2⁻¹⁰⁹); areas differ by less than one unit of 2⁻¹²⁶ in height, relatively 2⁻¹¹⁴;
//! P(|G| > 13σ) is below 2⁻¹²⁵; the height's 128 random bits add 2⁻¹²⁸. Normalising at most doubles the
//! sum.

use super::fixed_point::{FRACTION_BITS, ONE, density};

/// Layers: the choice of one takes a byte.
pub(super) const LAYERS: usize = 256;
/// End of the bottom layer in standard deviations.
const CUT: u32 = 13;
/// Areas are given in units of 2⁻⁴⁰·σ.
const AREA_BITS: u32 = 40;

/// The tables for one σ = 2^`log2_sigma`.
pub(super) struct Ziggurat {
    log2_sigma: u32,
    columns: [Columns; LAYERS],
    /// y₀ … y₂₅₆, in units of 2⁻¹²⁶.
    bottoms: [u128; LAYERS + 1],
    /// How far from the density an f64 height must be for its verdict to hold: see [`Ziggurat::is_below_density`].
    margin: f64,
}

/// How many columns a layer has, and how many of them lie below the density for the whole height of the layer.
#[derive(Clone, Copy, Default)]
pub(super) struct Columns {
    pub(super) all: u32,
    pub(super) inside: u32,
}

impl Ziggurat {
    /// The tables for σ = 2^`log2_sigma`, with layers of `area`·σ·2⁻⁴⁰.
    ///
    /// The least area that covers the density is a number from the script `goldens/rounded_gaussian.py`; more only
    /// wastes draws.
    ///
    /// # Panics
    /// If layers of this area do not end at the density's peak: an area is a constant, and a test builds its table.
    pub(super) fn new(log2_sigma: u32, area: u64) -> Self {
        let mut bottoms = [0; LAYERS + 1];
        let mut widths = [0; LAYERS + 1];
        widths[0] = CUT << log2_sigma;
        for layer in 0..LAYERS {
            bottoms[layer + 1] = bottoms[layer] + height(area, widths[layer], log2_sigma);
            widths[layer + 1] = width(bottoms[layer + 1], log2_sigma);
        }
        assert!(widths[LAYERS] == 0, "the ziggurat's layers must cover the density");
        let columns = std::array::from_fn(|i| Columns { all: widths[i], inside: widths[i + 1] });
        let margin = 2.0_f64.powi(-44) + 2.0_f64.powi(-2 * log2_sigma as i32);
        Self { log2_sigma, columns, bottoms, margin }
    }

    /// The columns of a layer.
    pub(super) fn columns(&self, layer: usize) -> Columns {
        self.columns[layer]
    }

    /// Whether the point of column n at `share`·2⁻¹²⁸ of the layer's height lies below the density.
    ///
    /// Mostly told in f64. Its density leaves out the average over a cell, which changes it by at most a 24th of the
    /// largest second derivative, 1/(24σ²); its roundings sum to less than 2⁻⁵⁰. If the gap is within the margin,
    /// σ⁻² + 2⁻⁴⁴, the integers decide.
    pub(super) fn is_below_density(&self, layer: usize, n: u32, share: u128) -> bool {
        let (bottom, height) = (self.bottoms[layer], self.bottoms[layer + 1] - self.bottoms[layer]);
        let gap =
            self.gaussian_density(n) - to_f64(bottom) - share as f64 * 2.0_f64.powi(-128) * to_f64(height);
        if gap.abs() > self.margin {
            return gap > 0.0;
        }
        let (_, offset) = share.carrying_mul(height, 0);
        bottom + offset < density(n, self.log2_sigma)
    }

    /// exp(−n²/2σ²).
    fn gaussian_density(&self, n: u32) -> f64 {
        let ratio = f64::from(n) * 2.0_f64.powi(-(self.log2_sigma as i32));
        libm::exp(-0.5 * ratio * ratio)
    }
}

/// ⌊area·σ / width⌋ in units of 2⁻¹²⁶, in two steps so that no intermediate overflows.
fn height(area: u64, width: u32, log2_sigma: u32) -> u128 {
    let (area, width) = (u128::from(area) << (FRACTION_BITS - AREA_BITS), u128::from(width));
    ((area / width) << log2_sigma) + ((area % width) << log2_sigma) / width
}

/// #{n ≥ 0 : f(n) > y}, found from the inverse of the Gaussian density in f64, which is never far off.
fn width(y: u128, log2_sigma: u32) -> u32 {
    let inverse = (-2.0 * libm::log(to_f64(y))).max(0.0).sqrt();
    let mut n = (inverse * f64::from(1_u32 << log2_sigma)) as u32;
    while density(n, log2_sigma) > y {
        n += 1;
    }
    while n > 0 && density(n - 1, log2_sigma) <= y {
        n -= 1;
    }
    n
}

fn to_f64(units: u128) -> f64 {
    units as f64 / ONE as f64
}

#[cfg(test)]
#[path = "ziggurat_tests.rs"]
mod tests;
