//! Elementary functions without branches, in f32.

/// eˣ for finite x, within 2 units in the last place between −87 and 88; x outside of that range counts as its end.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, in two steps so that r is exact; eʳ by a polynomial of degree 6 (the coefficients are
/// those of Cephes' `expf`); 2ⁿ is added to the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN_2_HIGH, x);
    let r = n.mul_add(-LN_2_LOW, r);
    let mut p = COEFFICIENTS[0];
    for c in &COEFFICIENTS[1..] {
        p = p.mul_add(r, *c);
    }
    let p = p.mul_add(r * r, r) + 1.0;
    // The last bits of 1.5 · 2²³ + n are those of n: no conversion to an integer, which does not vectorise everywhere.
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, within 2e-7 of its value in proportion: an odd polynomial near 0 (the coefficients are those of
/// Cephes' `tanhf`), exponentials elsewhere.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 5] =
        [-5.704_988_6e-3, 2.063_909e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1];
    let square = x * x;
    let mut p = COEFFICIENTS[0];
    for c in &COEFFICIENTS[1..] {
        p = p.mul_add(square, *c);
    }
    let near = (p * square).mul_add(x, x);
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if x.abs() < 0.625 { near } else { far }
}

/// The normal distribution function Φ, within 1e-6: by the rational approximation 7.1.26 of Abramowitz & Stegun (1964) to
/// the error function.
#[inline(always)]
pub(crate) fn normal_distribution(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = COEFFICIENTS[0];
    for c in &COEFFICIENTS[1..] {
        p = p.mul_add(t, *c);
    }
    let tail = 0.5 * p * t * exp(-z * z);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Its density.
#[inline(always)]
pub(crate) fn normal_density(x: f32) -> f32 {
    const INVERSE_ROOT_2_PI: f32 = 0.398_942_3;
    INVERSE_ROOT_2_PI * exp(-0.5 * x * x)
}
