//! Gauss–Legendre quadrature: (node, weight) pairs on [−1, 1]. Weights are positive, so sums of positive terms never cancel.

/// Exact for cubics.
pub(super) const TWO_NODES: [(f64, f64); 2] =
    [(-0.577_350_269_189_625_8, 1.0), (0.577_350_269_189_625_8, 1.0)];

/// Exact up to degree 5.
pub(super) const THREE_NODES: [(f64, f64); 3] =
    [(-0.774_596_669_241_483_4, 5.0 / 9.0), (0.0, 8.0 / 9.0), (0.774_596_669_241_483_4, 5.0 / 9.0)];

/// Exact up to degree 9.
pub(super) const FIVE_NODES: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];

/// The rule moved to [`low`, `high`].
pub(super) fn over(low: f64, high: f64, rule: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let (centre, half) = (low + (high - low) / 2.0, (high - low) / 2.0);
    rule.iter().map(move |&(node, weight)| (centre + half * node, half * weight))
}

#[cfg(test)]
#[path = "quadrature_tests.rs"]
mod tests;
