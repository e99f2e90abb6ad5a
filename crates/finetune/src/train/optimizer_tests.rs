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
    let mut state = State::new(Optimizer::AdamW, vec![1.0, -2.0]);
    for (step, gradient) in [[0.5, 1e-3], [-0.25, 1e-3], [2.0, 1e-3]].iter().enumerate() {
        state.update(Optimizer::AdamW, gradient, 0.1, 0.01);
        for (found, expected) in state.parameters.iter().zip(expected[step]) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "step {step}: {found} against {expected}");
        }
    }
    assert_eq!(state.steps, 3);
}

#[test]
fn a_zero_gradient_only_decays() {
    let mut state = State::new(Optimizer::AdamW, vec![2.0]);
    state.update(Optimizer::AdamW, &[0.0], 0.1, 0.5);
    assert_eq!(state.parameters, [1.9]);
    state.update(Optimizer::AdamW, &[0.0], 0.1, 0.0);
    assert_eq!(state.parameters, [1.9]);
}

#[test]
fn a_quadratic_is_minimised() {
    let mut state = State::new(Optimizer::AdamW, vec![3.0, -4.0]);
    for _ in 0..500 {
        let gradient: Vec<f32> = state.parameters.iter().map(|x| 2.0 * (x - 1.0)).collect();
        state.update(Optimizer::AdamW, &gradient, 0.05, 0.0);
    }
    assert!(state.parameters.iter().all(|x| (x - 1.0).abs() < 0.05), "{:?}", state.parameters);
}

/// Reference values from PyTorch's rule, worked out in f64 with this script:
///
/// ```python
/// mu, lr, wd = 0.9, 0.1, 0.01
/// for p, gs in [(1.0, [0.5, -0.25, 2.0]), (-2.0, [1e-3, 1e-3, 1e-3])]:
///     b = 0.0
///     for g in gs:
///         b = mu*b + g; p -= lr*(b + wd*p)
///         print(p)
/// ```
#[test]
fn sgd_equals_the_published_recurrence() {
    let expected = [[0.949, -1.9981], [0.928051, -1.9962919], [0.709122949, -1.994566608]];
    let optimizer = Optimizer::Sgd { momentum: 0.9 };
    let mut state = State::new(optimizer, vec![1.0, -2.0]);
    for (step, gradient) in [[0.5, 1e-3], [-0.25, 1e-3], [2.0, 1e-3]].iter().enumerate() {
        state.update(optimizer, gradient, 0.1, 0.01);
        for (found, expected) in state.parameters.iter().zip(expected[step]) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "step {step}: {found} against {expected}");
        }
    }
    assert_eq!(state.steps, 3);
}

#[test]
fn without_momentum_nothing_is_remembered_and_the_steps_are_those_of_momentum_0() {
    let plain = Optimizer::Sgd { momentum: 0.0 };
    let mut state = State::new(plain, vec![1.0]);
    assert!(state.memory.parts().is_empty());
    state.update(plain, &[0.5], 0.1, 0.0);
    state.update(plain, &[-0.25], 0.1, 0.0);
    assert!((state.parameters[0] - 0.975).abs() < 1e-7, "{:?}", state.parameters);
    let names = |optimizer: Optimizer| {
        State::new(optimizer, vec![0.0]).memory.parts().iter().map(|(name, _)| *name).collect::<Vec<_>>()
    };
    assert_eq!(names(Optimizer::Sgd { momentum: 0.5 }), ["momentum_buffer"]);
    assert_eq!(names(Optimizer::AdamW), ["first_moment", "second_moment"]);
}

#[test]
fn sgd_with_momentum_minimises_a_quadratic() {
    let optimizer = Optimizer::Sgd { momentum: 0.9 };
    let mut state = State::new(optimizer, vec![3.0, -4.0]);
    for _ in 0..500 {
        let gradient: Vec<f32> = state.parameters.iter().map(|x| 2.0 * (x - 1.0)).collect();
        state.update(optimizer, &gradient, 0.02, 0.0);
    }
    assert!(state.parameters.iter().all(|x| (x - 1.0).abs() < 0.01), "{:?}", state.parameters);
}
