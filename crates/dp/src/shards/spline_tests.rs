//! The sum of K rounded Gaussians against the randomised rounding of a Gaussian: both distributions in full,
//! for small σ.

use crate::test_statistics::normal_cumulative;

/// P(round(G) = n), G ~ N(0, σ²), for n = −`reach` … `reach`.
fn rounded_gaussian(sigma: f64, reach: i32) -> Vec<f64> {
    let cumulative = |x: f64| normal_cumulative(x / sigma);
    // By the lower tail on both sides, where the difference keeps its digits.
    let probability = |n: i32| {
        let n = -f64::from(n.abs());
        cumulative(n + 0.5) - cumulative(n - 0.5)
    };
    (-reach..=reach).map(probability).collect()
}

/// The distribution of the sum of `count` independent draws, over −count·reach … count·reach.
fn sum_of_draws(draw: &[f64], count: u32) -> Vec<f64> {
    let convolve = |a: &[f64], b: &[f64]| {
        let mut out = vec![0.0; a.len() + b.len() - 1];
        for (i, x) in a.iter().enumerate() {
            b.iter().enumerate().for_each(|(j, y)| out[i + j] += x * y);
        }
        out
    };
    (1..count).fold(draw.to_vec(), |sum, _| convolve(&sum, draw))
}

/// β of order `order` at x: the density of a sum of as many uniform numbers of (−½, ½), by the recursion of
/// de Boor 1978.
fn cardinal_b_spline(order: u32, x: f64) -> f64 {
    let half = f64::from(order) / 2.0;
    match order {
        1 => f64::from(u8::from((-0.5..0.5).contains(&x))),
        _ => {
            let lower = |x| cardinal_b_spline(order - 1, x);
            ((half + x) * lower(x + 0.5) + (half - x) * lower(x - 0.5)) / f64::from(order - 1)
        }
    }
}

/// ∫ g(t) dt over (0, 1), by Gauss and Legendre's rule of five nodes on each of `pieces` parts.
fn integral(pieces: u32, g: impl Fn(f64) -> f64) -> f64 {
    let inner = (5.0 - 2.0 * (10.0_f64 / 7.0).sqrt()).sqrt() / 3.0;
    let outer = (5.0 + 2.0 * (10.0_f64 / 7.0).sqrt()).sqrt() / 3.0;
    let (light, heavy) = (322.0 - 13.0 * 70.0_f64.sqrt(), 322.0 + 13.0 * 70.0_f64.sqrt());
    let nodes = [(-outer, light / 900.0), (-inner, heavy / 900.0), (0.0, 128.0 / 225.0)];
    let nodes = nodes.into_iter().chain([(inner, heavy / 900.0), (outer, light / 900.0)]);
    let width = 1.0 / f64::from(pieces);
    let parts = |(node, weight): (f64, f64)| {
        let part = |i: u32| g((f64::from(i) + (node + 1.0) / 2.0) * width);
        weight / 2.0 * width * (0..pieces).map(part).sum::<f64>()
    };
    nodes.map(parts).sum()
}

/// P(randomised rounding of N(0, variance) = n) = ∫ φ(n − t)·β(t) dt, piece by polynomial piece.
fn rounded_at_random(variance: f64, order: u32, reach: i32) -> Vec<f64> {
    let density = |x: f64| (-x * x / (2.0 * variance)).exp() / (2.0 * std::f64::consts::PI * variance).sqrt();
    let start = -f64::from(order) / 2.0;
    let probability = |n: i32| -> f64 {
        let piece = |j: u32| {
            let at = |t: f64| start + f64::from(j) + t;
            integral(8, |t| density(f64::from(n) - at(t)) * cardinal_b_spline(order, at(t)))
        };
        (0..order).map(piece).sum()
    };
    (-reach..=reach).map(probability).collect()
}

/// Total variation and the largest difference at one number, between the sum of K rounded Gaussians and the
/// rounding of N(0, `variance`).
fn gap(sigma: f64, count: u32, variance: f64) -> (f64, f64) {
    let reach = (9.0 * sigma).ceil() as i32 + 1;
    let sum = sum_of_draws(&rounded_gaussian(sigma, reach), count);
    let rounding = rounded_at_random(variance, count, reach * count as i32);
    let gaps = sum.iter().zip(&rounding).map(|(a, b)| (a - b).abs());
    (gaps.clone().sum::<f64>() / 2.0, gaps.fold(0.0, f64::max))
}

#[test]
fn a_sum_of_rounded_gaussians_is_a_gaussian_rounded_at_random() {
    for sigma in [2.0_f64, 4.0, 8.0] {
        for count in 2..=5 {
            let (variation, _) = gap(sigma, count, f64::from(count) * sigma * sigma);
            assert!(variation < 1e-12, "σ = {sigma}, K = {count}: {variation:e}");
        }
    }
}

// A standard deviation a thousandth off, and a lattice too coarse for the claim.
#[test]
fn other_distributions_are_told_apart() {
    for count in 2..=5 {
        let (variation, _) = gap(4.0, count, f64::from(count) * 16.0 * 1.002);
        assert!(variation > 1e-4, "K = {count}: {variation:e}");
        let (variation, _) = gap(0.3, count, f64::from(count) * 0.09);
        assert!(variation > 1e-3, "K = {count}: {variation:e}");
    }
}

#[test]
fn the_difference_is_within_the_stated_bound_where_it_can_be_seen() {
    let mut largest = 0.0_f64;
    for sigma in [1.0_f64, 1.1, 1.3] {
        for count in 2..=5 {
            let (_, at_one_number) = gap(sigma, count, f64::from(count) * sigma * sigma);
            let bound = f64::from(count * count) * (-(std::f64::consts::PI * sigma).powi(2)).exp();
            assert!(at_one_number < bound, "σ = {sigma}, K = {count}: {at_one_number:e} over {bound:e}");
            largest = largest.max(at_one_number / bound);
        }
    }
    assert!(largest > 0.01, "the bound is {largest:e} used, so this shows little");
}

#[test]
fn translates_of_a_cardinal_b_spline_make_up_one() {
    for order in 1..=6_u32 {
        for y in [0.0, 0.1, 0.25, 0.5, 0.77] {
            let total: f64 = (-5..=5).map(|n| cardinal_b_spline(order, f64::from(n) - y)).sum();
            assert!((total - 1.0).abs() < 1e-14, "order {order} at {y}: {total}");
        }
    }
}
