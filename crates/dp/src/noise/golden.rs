//! What `goldens/rounded_gaussian.py` wrote.

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct RoundedGaussian {
    pub(crate) log2_sigma: u32,
    pub(crate) area: u64,
    pub(crate) widths: Vec<u32>,
    /// Column, density in hexadecimal units of 2⁻¹²⁶.
    pub(crate) densities: Vec<(u32, String)>,
    pub(crate) first_draws: Vec<i32>,
    pub(crate) count: usize,
    pub(crate) sha256_of_draws: String,
    pub(crate) next_word: u64,
}

/// For σ = 2⁴, a lattice whose exact law can be counted, and for σ = 2²⁴.
pub(crate) fn rounded_gaussians() -> [RoundedGaussian; 2] {
    serde_json::from_str(include_str!("../../goldens/rounded_gaussian.json")).unwrap()
}
