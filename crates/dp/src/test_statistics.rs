//! Statistical tests for samplers. Seeds are fixed, so a test either always passes or always fails.

/// The Kolmogorov–Smirnov statistic times √n: above 1.95 with a chance of 0.001 under the hypothesis, above 2.5 with 7e-6.
pub(crate) fn kolmogorov_smirnov(mut samples: Vec<f64>, cumulative: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let gap = |(i, &x): (usize, &f64)| {
        let expected = cumulative(x);
        (expected - i as f64 / n).max((i + 1) as f64 / n - expected)
    };
    samples.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
}

/// Pearson's χ² of counts against probabilities, as a standard normal score (Wilson & Hilferty 1931).
pub(crate) fn chi_square_score(counts: &[u64], probabilities: &[f64]) -> f64 {
    let total: u64 = counts.iter().sum();
    let term = |(&count, &probability): (&u64, &f64)| {
        let expected = probability * total as f64;
        (count as f64 - expected).powi(2) / expected
    };
    let chi_square: f64 = counts.iter().zip(probabilities).map(term).sum();
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((chi_square / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Φ, the cumulative distribution of the standard normal.
pub(crate) fn normal_cumulative(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}
