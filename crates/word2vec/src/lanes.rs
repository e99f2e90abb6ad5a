//! Arithmetic on short arrays, in loops that the compiler turns into vector instructions.
//!
//! Everything is `inline(always)`: it takes on the processor features of the function that it is compiled into (see
//! `worker`). `FMA` says whether that function has fused multiply-add.

/// Lanes of the widest vector registers there are.
pub(crate) const LANES: usize = 16;

#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction, mul_add would be a slow call.
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Inner product of slices of one length, a multiple of [`LANES`], in sixteen running sums that are folded in halves.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FMA>(a[lane], b[lane], sums[lane]);
        }
    }
    // Without the barrier the compiler sees through the fold and takes two lanes at a time.
    let mut sums = std::hint::black_box(sums);
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// `target` + `factor` · `row`.
#[inline(always)]
pub(crate) fn add_scaled<const FMA: bool, const W: usize>(
    target: &mut [f32; W],
    factor: f32,
    row: &[f32; W],
) {
    for lane in 0..W {
        target[lane] = multiply_add::<FMA>(factor, row[lane], target[lane]);
    }
}

/// eˣ for each lane, within 3·10⁻⁷ relative for |x| ≤ 87; beyond that as at ±87.
///
/// 2ⁿ·2ᶠ with n the integer nearest to x/ln 2 and 2ᶠ by its Taylor polynomial of degree 6: the remainder is below
/// (½ ln 2)⁷/7! = 1.2·10⁻⁷. One loop an operation, for each to become one instruction.
#[inline(always)]
pub(crate) fn exp<const FMA: bool, const N: usize>(x: [f32; N]) -> [f32; N] {
    /// 1.5·2²³: adding it leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    let scaled = x.map(|x| x.clamp(-87.0, 87.0) * std::f32::consts::LOG2_E);
    let shifted = scaled.map(|x| x + ROUND);
    let mut y = [0.0; N];
    for lane in 0..N {
        y[lane] = (scaled[lane] - (shifted[lane] - ROUND)) * std::f32::consts::LN_2;
    }
    let mut sum = [1.0 / 720.0; N];
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        for lane in 0..N {
            sum[lane] = multiply_add::<FMA>(sum[lane], y[lane], coefficient);
        }
    }
    for lane in 0..N {
        sum[lane] *= f32::from_bits(shifted[lane].to_bits().wrapping_add(127) << 23);
    }
    sum
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
