//! What the search and the mechanism mean by scores and distances, to the last bit.
//!
//! All sums go in the order below, in f64 without fused operations, so that a table gives the same result on every
//! host. The compiler may use vectors of up to [`SUMS`] lanes for them and of no other shape.

/// Running sums: coordinate i goes to sum i mod 4.
const SUMS: usize = 4;

/// Sum of f(aᵢ, bᵢ): four running sums, then (s₀ + s₁) + (s₂ + s₃).
#[inline(always)]
fn sum<T: Copy>(a: &[T], b: &[f32], f: impl Fn(T, f64) -> f64) -> f64 {
    let (a, a_tail) = a.as_chunks::<SUMS>();
    let (b, b_tail) = b.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..SUMS {
            sums[lane] += f(a[lane], f64::from(b[lane]));
        }
    }
    for (lane, (&a, &b)) in a_tail.iter().zip(b_tail).enumerate() {
        sums[lane] += f(a, f64::from(b));
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// ‖v‖²/2.
pub(super) fn half_square_norm(row: &[f32]) -> f64 {
    sum(row, row, |a, b| f64::from(a) * b) / 2.0
}

/// y·v.
pub(super) fn product(vector: &[f64], row: &[f32]) -> f64 {
    sum(vector, row, |a, b| a * b)
}

/// ‖y − v‖².
pub(super) fn square_distance(vector: &[f64], row: &[f32]) -> f64 {
    sum(vector, row, |a, b| (a - b) * (a - b))
}

/// ‖v − u‖.
pub(super) fn distance(row: &[f32], other: &[f32]) -> f64 {
    sum(row, other, |a, b| (f64::from(a) - b) * (f64::from(a) - b)).sqrt()
}

/// ‖y‖.
pub(super) fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The nearest integer, for sizes below 2⁵¹. Ties go to the even one.
#[inline(always)]
pub(super) fn round(x: f64) -> f64 {
    // At this size the distance of two f64 is 1. `f64::round` would be a call.
    const SHIFT: f64 = 1.5 * (1_u64 << 52) as f64;
    (x + SHIFT) - SHIFT
}
