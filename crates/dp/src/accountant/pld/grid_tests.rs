use proptest::prelude::*;

use super::super::loss::tests::gaussian;
use super::*;

impl Pmf {
    fn expectation(&self, value: impl Fn(f64) -> f64) -> f64 {
        self.lines().map(|(line, mass)| mass * value(line as f64 * self.step)).sum()
    }

    /// δ(ε), by its definition.
    fn hockey_stick(&self, epsilon: f64) -> f64 {
        self.expectation(|loss| (-libm::expm1(epsilon - loss)).max(0.0))
    }
}

fn exact_hockey_stick(release: &Release, epsilon: f64) -> f64 {
    let mut sum = 0.0;
    let lines = Lines { step: 1e-4, low: f64::NEG_INFINITY, high: f64::INFINITY };
    let (low, high) = release.bounds();
    release.for_each_atom(Some(Lines { low, high, ..lines }), |mass, loss| {
        sum += mass * (-libm::expm1(epsilon - loss)).max(0.0);
    });
    sum
}

const NO_FLOOR: f64 = f64::NEG_INFINITY;

#[test]
fn both_masses_are_kept() {
    for adding in [false, true] {
        for (sigma, rate, step) in [(1.0, 0.1, 1e-3), (0.3, 1e-4, 0.5), (5.0, 0.01, 1e-6), (0.5, 0.9, 3.0)] {
            let pmf = Pmf::discretise(&gaussian(sigma, rate, 9.0, adding), step, NO_FLOOR);
            let (p, q) = (pmf.expectation(|_| 1.0), pmf.expectation(|loss| libm::exp(-loss)));
            assert!((p - 1.0).abs() < 1e-12 && (q - 1.0).abs() < 1e-12, "{sigma} {rate} {step}: {p} {q}");
        }
    }
}

#[test]
fn the_curve_meets_the_exact_one_on_grid_lines_and_lies_above_it_between() {
    let step = 0.25;
    for release in [
        gaussian(1.0, 0.2, 9.0, false),
        gaussian(1.0, 0.2, 9.0, true),
        Release::Laplace { shift: 1.3 },
        Release::Pure { epsilon: 0.8 },
    ] {
        let pmf = Pmf::discretise(&release, step, NO_FLOOR);
        let mut between = 0;
        for quarter in -12..24 {
            let epsilon = f64::from(quarter) * step / 4.0;
            let (grid, exact) = (pmf.hockey_stick(epsilon), exact_hockey_stick(&release, epsilon));
            assert!(grid >= exact * (1.0 - 1e-12) - 1e-16, "{release:?} {epsilon}: {grid} {exact}");
            if quarter % 4 == 0 {
                assert!((grid - exact).abs() < 1e-12, "{release:?} {epsilon}: {grid} {exact}");
            } else if grid > exact + 1e-6 {
                between += 1;
            }
        }
        assert!(between > 0, "{release:?}: the chords should show");
    }
}

#[test]
fn control_rounding_losses_to_the_nearest_line_falls_below_the_exact_curve() {
    let (release, step) = (gaussian(1.0, 0.2, 9.0, false), 0.25);
    let (low, high) = release.bounds();
    let rounded = |epsilon: f64| {
        let mut sum = 0.0;
        release.for_each_atom(Some(Lines { step, low, high }), |mass, loss| {
            sum += mass * (-libm::expm1(epsilon - (loss / step).round() * step)).max(0.0);
        });
        sum
    };
    assert!(
        (0..40).map(|i| f64::from(i) / 40.0).any(|e| rounded(e) < exact_hockey_stick(&release, e) * 0.99)
    );
}

#[test]
fn raising_losses_to_a_floor_only_raises_the_curve() {
    let release = gaussian(1.0, 0.2, 9.0, true);
    let (free, raised) = (Pmf::discretise(&release, 0.01, NO_FLOOR), Pmf::discretise(&release, 0.01, -0.3));
    assert!(raised.lines().count() < free.lines().count() / 2);
    for epsilon in [-1.0, -0.5, -0.29, 0.0, 0.1, 0.2] {
        assert!(raised.hockey_stick(epsilon) >= free.hockey_stick(epsilon) * (1.0 - 1e-12), "{epsilon}");
    }
    assert!((raised.expectation(|_| 1.0) - 1.0).abs() < 1e-12);
}

#[test]
fn splitting_adds_the_variance_it_says() {
    // Two atoms at ±0.37 on a grid of 0.1: each adds 0.03·0.07 = 0.07·0.03, and half of it to the mean, up to O(h³).
    let (epsilon, step) = (0.37, 0.1);
    let release = Release::Pure { epsilon };
    let pmf = Pmf::discretise(&release, step, NO_FLOOR);
    let mean = epsilon * (epsilon / 2.0).tanh();
    let grid_mean = pmf.expectation(|loss| loss);
    let grid_variance = pmf.expectation(|loss| (loss - grid_mean).powi(2));
    assert!((grid_mean - mean - 0.0021 / 2.0).abs() < 2e-5, "{}", grid_mean - mean);
    assert!((grid_variance - (epsilon * epsilon - mean * mean) - 0.0021).abs() < 4e-4);
}

proptest! {
    #[test]
    fn the_moment_generating_function_is_that_of_the_masses(t in -50.0_f64..50.0, ln_rate in -5.0_f64..0.0) {
        let pmf = Pmf::discretise(&gaussian(2.0, ln_rate.exp(), 7.0, false), 0.01, NO_FLOOR);
        let direct = libm::log(pmf.expectation(|loss| libm::exp(t * loss)));
        prop_assert!((pmf.ln_mgf(t) - direct).abs() < 1e-9 * direct.abs().max(1.0), "{} {}", pmf.ln_mgf(t), direct);
    }
}
