use super::super::loss::tests::gaussian;
use super::*;

const SIGMA: f64 = 2.0;
const STEPS: u64 = 30;

/// T Gaussian steps: L is normal with variance T/σ² and half of that as mean.
fn composed_gaussian() -> (Cumulant, f64) {
    (Cumulant::new(&[(gaussian(SIGMA, 1.0, 14.0, false), STEPS)]), STEPS as f64 / (SIGMA * SIGMA))
}

#[test]
fn k_of_the_gaussian_is_the_closed_form() {
    let (cumulant, variance) = composed_gaussian();
    for t in [-2.0, -0.5, 0.0, 0.3, 1.0, 5.0] {
        let (k, slope) = cumulant.at(t);
        assert!((k - variance * t * (t + 1.0) / 2.0).abs() < 1e-8, "{t}: {k}");
        assert!((slope - variance * (t + 0.5)).abs() < 1e-8, "{t}: {slope}");
    }
}

#[test]
fn different_releases_add_up() {
    let (release, other) = (gaussian(1.0, 0.1, 9.0, true), Release::Laplace { shift: 0.4 });
    let (a, b) = (Cumulant::new(&[(release, 3)]), Cumulant::new(&[(other, 5)]));
    let both = Cumulant::new(&[(release, 3), (other, 5)]);
    let (sum, k) = (a.at(0.7).0 + b.at(0.7).0, both.at(0.7).0);
    assert!((k / sum - 1.0).abs() < 1e-14);
}

#[test]
fn tilts_solve_their_equations() {
    let (cumulant, variance) = composed_gaussian();
    // θK′ − K = θ²·v/2.
    let tilt = cumulant.tilt_for_delta(libm::log(1e-6));
    let reached = tilt * tilt * variance / 2.0 + libm::log1p(tilt);
    assert!((reached / -libm::log(1e-6) - 1.0).abs() < 0.03, "{tilt}: {reached}");
    let tilt = cumulant.tilt_for_epsilon(20.0);
    let reached = variance * (tilt + 0.5) - libm::log1p(1.0 / tilt);
    assert!((reached / 20.0 - 1.0).abs() < 0.03, "{tilt}: {reached}");
}

#[test]
fn the_chernoff_bounds_are_bounds_and_not_far() {
    let (cumulant, variance) = composed_gaussian();
    let sigma = 1.0 / variance.sqrt();
    for delta in [1e-3, 1e-6, 1e-12] {
        let exact = crate::accountant::gaussian::epsilon(sigma, crate::Delta::try_from(delta).unwrap());
        let tilt = cumulant.tilt_for_delta(libm::log(delta));
        let bound = cumulant.chernoff_epsilon(tilt, libm::log(delta));
        assert!(bound > exact && bound < exact * 1.2, "{delta}: {bound} {exact}");
        let ln_bound = cumulant.chernoff_ln_delta(cumulant.tilt_for_epsilon(exact), exact);
        assert!(ln_bound > libm::log(delta) && ln_bound < libm::log(delta) + 4.0, "{delta}: {ln_bound}");
    }
}

#[test]
fn the_window_of_a_gaussian_is_its_chernoff_quantile() {
    let (cumulant, variance) = composed_gaussian();
    let (tilt, deviation) = (1.5, variance.sqrt());
    let mean = cumulant.at(tilt).1;
    let window = cumulant.window(tilt, -8.0, -18.0);
    assert!(((window.high - mean) / deviation - 6.0).abs() < 0.01, "{window:?}");
    assert!(((window.low - mean) / deviation + 4.0).abs() < 0.01, "{window:?}");
    assert!(((window.tilt_above - tilt) * deviation - 6.0).abs() < 0.1, "{window:?}");
}

#[test]
fn the_window_of_bounded_losses_ends_with_them() {
    // 100 answers of ε = 3: L is at most 300, and is that with a chance of 0.7 %.
    let cumulant = Cumulant::new(&[(Release::Pure { epsilon: 3.0 }, 100)]);
    let window = cumulant.window(5.0, -20.0, -20.0);
    assert!(window.high <= 300.001 && window.high > 299.0, "{window:?}");
    assert!(window.low < window.high);
}

#[test]
fn split_variance_is_a_sixth_of_the_squared_step_for_smooth_losses() {
    let (cumulant, _) = composed_gaussian();
    let variance = cumulant.split_variance(1.0, 1e-3);
    assert!((variance / (STEPS as f64 * 1e-6 / 6.0) - 1.0).abs() < 0.2, "{variance:e}");
    // An atom a quarter of a step above a line adds 3/16 of the squared step.
    let atoms = Cumulant::new(&[(Release::Pure { epsilon: 1.25 }, 1)]);
    assert!((atoms.split_variance(0.0, 1.0) - 3.0 / 16.0).abs() < 1e-12);
}
