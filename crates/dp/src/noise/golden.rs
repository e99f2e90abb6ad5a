//! What `goldens/rounded_gaussian.py` wrote.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct RoundedGaussian {
    pub(super) log2_sigma: u32,
    pub(super) area: u64,
    pub(super) widths: Vec<u32>,
    /// Column, density in hexadecimal units of 2⁻¹²⁶.
    pub(super) densities: Vec<(u32, String)>,
    pub(super) first_draws: Vec<i32>,
    pub(super) count: usize,
    pub(super) sha256_of_draws: String,
    pub(super) next_word: u64,
}

/// For σ = 2⁴, a lattice whose exact law can be counted, and for σ = 2²⁴.
pub(super) fn rounded_gaussians() -> [RoundedGaussian; 2] {
    serde_json::from_str(include_str!("../../goldens/rounded_gaussian.json")).unwrap()
}
