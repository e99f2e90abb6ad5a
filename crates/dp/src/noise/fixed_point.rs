//! Numbers below 2 as integers in units of 2⁻¹²⁶, and the rounded Gaussian's density in them.
//!
//! The sampler's verdicts are comparisons of such integers, so they have the same bits on every host, and their error
//! is counted here in units instead of being believed: every product and quotient below is rounded down, by less than
//! a unit.

/// Bits after the binary point. Two stay free, so that sums of numbers below 1 and signed numbers fit.
pub(super) const FRACTION_BITS: u32 = 126;
/// The number 1.
pub(super) const ONE: u128 = 1 << FRACTION_BITS;

/// ⌊a·b⌋ in units.
pub(super) fn multiply(a: u128, b: u128) -> u128 {
    let (low, high) = a.carrying_mul(b, 0);
    (high << (128 - FRACTION_BITS)) | (low >> FRACTION_BITS)
}

/// a·b for a signed b, rounded towards zero.
fn multiply_signed(a: u128, b: i128) -> i128 {
    // Magnitudes are below 2¹²⁷ by the callers' bounds, so the cast keeps them.
    multiply(a, b.unsigned_abs()) as i128 * b.signum()
}

/// e⁻ʳ for 0 ≤ r ≤ 1, within 2⁻¹¹⁹.
///
/// Taylor's series: the 36 terms before the first one left out, 1/36! < 2⁻¹³⁸. Each computed term is within two units
/// of its true value, so the sum is within 72 units.
fn exp_of_negative_fraction(r: u128) -> u128 {
    const TERMS: u128 = 36;
    let (mut sum, mut term) = (ONE as i128, ONE);
    for k in 1..TERMS {
        term = multiply(term, r) / k;
        sum += if k % 2 == 0 { term as i128 } else { -(term as i128) };
    }
    // Not negative: e⁻ʳ is at least 0.36.
    sum as u128
}

/// e⁻ˣ for x = `whole` + `fraction`, within 2⁻¹¹⁹.
///
/// Each product by e⁻¹ shrinks the error so far to 0.37 of it and adds 72·e⁻ˣ + 1 units: never more than 101 in all.
fn exp_of_negative(whole: u32, fraction: u128) -> u128 {
    let inverse_e = exp_of_negative_fraction(ONE);
    (0..whole).fold(exp_of_negative_fraction(fraction), |power, _| multiply(power, inverse_e))
}

/// The density of round(G), G ~ N(0, 4^`log2_sigma`), at n, relative to the peak of G's own density, within 2⁻¹¹⁸:
///
/// ```text
/// f(n) = ∫ exp(−(n + t)² / 2σ²) dt  over t in [−½, ½]  =  exp(−n²/2σ²) · Σ_{k even} g_k / ((k + 1)·2ᵏ)
/// ```
///
/// with Σ g_k·tᵏ the power series of exp(−(n/σ²)·t − t²/2σ²). Its derivative gives
/// (k + 1)·g_{k+1} = −(n/σ²)·g_k − g_{k−1}/σ². The caller keeps n below 2⁴·σ and σ at 2⁴ or more, so that n/σ² < 1,
/// |g_k| ≤ 1 and the terms left out are below 2⁻¹³⁰. Non-increasing in n ≥ 0 but for the error.
pub(super) fn density(n: u32, log2_sigma: u32) -> u128 {
    debug_assert!((4..=24).contains(&log2_sigma) && n >> (log2_sigma + 4) == 0);
    let square = u64::from(n) * u64::from(n);
    let point = 2 * log2_sigma + 1;
    let fraction = u128::from(square & ((1 << point) - 1)) << (FRACTION_BITS - point);
    multiply(exp_of_negative((square >> point) as u32, fraction), cell_average(n, log2_sigma))
}

/// The sum over even k in [`density`], within 32 units: below 2 and above ½.
fn cell_average(n: u32, log2_sigma: u32) -> u128 {
    const TERMS: i128 = 30;
    let slope = u128::from(n) << (FRACTION_BITS - 2 * log2_sigma);
    let (mut before, mut coefficient, mut sum) = (0, ONE as i128, 0);
    for k in 0..TERMS {
        if k % 2 == 0 {
            sum += (coefficient / (k + 1)) >> k;
        }
        let next = -(multiply_signed(slope, coefficient) + (before >> (2 * log2_sigma))) / (k + 1);
        (before, coefficient) = (coefficient, next);
    }
    // Positive: an average of positive values.
    sum as u128
}

#[cfg(test)]
#[path = "fixed_point_tests.rs"]
mod tests;
