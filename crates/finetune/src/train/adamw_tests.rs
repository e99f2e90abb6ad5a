use super::*;

/// Reference values from the recurrence worked out in f64 with this script:
///
/// ```python
/// b1, b2, eps, lr, wd = 0.9, 0.999, 1e-8, 0.1, 0.01
/// for p, gs in [(1.0, [0.5, -0.25, 2.0]), (-2.0, [1e-3, 1e-3, 1e-3])]:
///     m = v = 0.0
///     for t, g in enumerate(gs, 1):
///         m = b1*m + (1-b1)*g; v = b2*v + (1-b2)*g*g
///         p -= lr*(m/(1-b1**t) / ((v/(1-b2**t))**0.5 + eps) + wd*p)
///         print(p)
/// ```
#[test]
fn updates_equal_the_published_recurrence() {
    let expected = [[0.899000002, -2.097999000], [0.871467299, -2.195900001], [0.803531067, -2.293703101]];
    let mut state = AdamW::new(vec![1.0, -2.0]);
    for (step, gradient) in [[0.5, 1e-3], [-0.25, 1e-3], [2.0, 1e-3]].iter().enumerate() {
        state.update(gradient, 0.1, 0.01);
        for (found, expected) in state.parameters.iter().zip(expected[step]) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "step {step}: {found} against {expected}");
        }
    }
    assert_eq!(state.steps, 3);
}

#[test]
fn a_zero_gradient_only_decays() {
    let mut state = AdamW::new(vec![2.0]);
    state.update(&[0.0], 0.1, 0.5);
    assert_eq!(state.parameters, [1.9]);
    state.update(&[0.0], 0.1, 0.0);
    assert_eq!(state.parameters, [1.9]);
}

#[test]
fn a_quadratic_is_minimised() {
    let mut state = AdamW::new(vec![3.0, -4.0]);
    for _ in 0..500 {
        let gradient: Vec<f32> = state.parameters.iter().map(|x| 2.0 * (x - 1.0)).collect();
        state.update(&gradient, 0.05, 0.0);
    }
    assert!(state.parameters.iter().all(|x| (x - 1.0).abs() < 0.05), "{:?}", state.parameters);
}
