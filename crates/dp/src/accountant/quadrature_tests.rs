use super::*;

/// ∫ x^degree over [−1, 3] by the rule, over the true value.
fn ratio(rule: &[(f64, f64)], degree: i32) -> f64 {
    let exact = (3.0_f64.powi(degree + 1) - (-1.0_f64).powi(degree + 1)) / f64::from(degree + 1);
    over(-1.0, 3.0, rule).map(|(x, weight)| weight * x.powi(degree)).sum::<f64>() / exact
}

#[test]
fn n_nodes_are_exact_up_to_degree_2n_minus_1_and_no_further() {
    for rule in [&TWO_NODES[..], &THREE_NODES, &FIVE_NODES] {
        let exact_up_to = 2 * rule.len() as i32 - 1;
        for degree in 0..=exact_up_to {
            assert!((ratio(rule, degree) - 1.0).abs() < 1e-14, "{} nodes, degree {degree}", rule.len());
        }
        assert!((ratio(rule, exact_up_to + 1) - 1.0).abs() > 1e-4);
        assert!(rule.iter().all(|&(_, weight)| weight > 0.0));
    }
}
