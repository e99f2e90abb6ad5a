use proptest::prelude::*;

use super::*;

pub(in crate::accountant::pld) fn gaussian(sigma: f64, rate: f64, tail: f64, adding: bool) -> Release {
    Release::Gaussian(SubsampledGaussian { sigma, rate, tail, adding })
}

/// Σ P-mass·value(ℓ).
fn expectation(release: &Release, step: Option<f64>, value: impl Fn(f64) -> f64) -> f64 {
    let (low, high) = release.bounds();
    let mut sum = 0.0;
    release.for_each_atom(step.map(|step| Lines { step, low, high }), |mass, loss| sum += mass * value(loss));
    sum
}

fn releases() -> Vec<Release> {
    let mut releases = vec![];
    for sigma in [0.05, 0.3, 1.0, 20.0] {
        for rate in [1e-6, 1e-3, 0.3, 0.999, 1.0] {
            for adding in [false, true] {
                releases.push(gaussian(sigma, rate, 9.0, adding && rate < 1.0));
            }
        }
    }
    releases.extend([0.01, 1.0, 30.0].map(|shift| Release::Laplace { shift }));
    releases.extend([0.01, 1.0, 30.0].map(|epsilon| Release::Pure { epsilon }));
    releases
}

#[test]
fn atoms_add_up_to_one_under_p_and_under_q() {
    // Nine standard deviations leave out 2e-19, far below the rounding: what is seen is the quadrature's error, on any grid.
    for release in releases() {
        let (low, high) = release.bounds();
        for step in [(high - low) / 50_000.0, (high - low) / 777.0, (high - low) * 2.0] {
            let (p, q) = (
                expectation(&release, Some(step), |_| 1.0),
                expectation(&release, Some(step), |loss| libm::exp(-loss)),
            );
            assert!((p - 1.0).abs() < 1e-12, "{release:?} {step}: P {:e}", p - 1.0);
            assert!((q - 1.0).abs() < 1e-12, "{release:?} {step}: Q {:e}", q - 1.0);
        }
        let coarse = expectation(&release, None, |_| 1.0);
        assert!((coarse - 1.0).abs() < 1e-9, "{release:?}: {:e}", coarse - 1.0);
    }
}

#[test]
fn second_moments_of_the_ratio_are_the_closed_form() {
    // E_P[P/Q] = 1 + q²·(e^(1/σ²) − 1), the Rényi divergence of order 2.
    for (sigma, rate) in [(0.5, 0.01), (1.0, 0.3), (5.0, 1.0)] {
        let release = gaussian(sigma, rate, 12.0, false);
        let expected = 1.0 + rate * rate * libm::expm1(1.0 / (sigma * sigma));
        let sum = expectation(&release, None, libm::exp);
        assert!((sum / expected - 1.0).abs() < 1e-9, "{sigma} {rate}: {sum} {expected}");
    }
}

#[test]
fn the_mean_loss_of_laplace_noise_is_the_closed_form() {
    for shift in [0.1, 1.0, 7.0] {
        // Kullback–Leibler divergence of Lap(0, b) from Lap(1, b), with 1/b = shift.
        let expected = shift - 1.0 + libm::exp(-shift);
        let mean = expectation(&Release::Laplace { shift }, None, |loss| loss);
        assert!((mean / expected - 1.0).abs() < 1e-10, "{shift}: {mean} {expected}");
    }
}

#[test]
fn no_atom_lies_outside_the_bounds() {
    for release in releases() {
        let (low, high) = release.bounds();
        let slack = 1e-12 * high.max(-low);
        release.for_each_atom(None, |_, loss| {
            assert!(loss >= low - slack && loss <= high + slack, "{release:?}")
        });
    }
}

#[test]
fn cut_tails_are_bounded() {
    for tail in [1.0, 3.0] {
        for rate in [0.1, 1.0] {
            let release = gaussian(1.0, rate, tail, false);
            let missing = 1.0 - expectation(&release, None, |_| 1.0);
            assert!(missing > 0.0 && missing <= release.outside(), "{tail} {rate}: {missing}");
        }
    }
}

proptest! {
    #[test]
    fn the_inverse_of_the_loss_is_its_inverse(ln_sigma in -2.9_f64..3.0, ln_rate in -14.0_f64..0.0, place in 0.2_f64..1.0) {
        let gaussian = SubsampledGaussian { sigma: ln_sigma.exp(), rate: ln_rate.exp(), tail: 8.0, adding: false };
        let (loss, back) = there_and_back(&gaussian, place);
        prop_assert!((back - loss).abs() <= 1e-12 * loss.abs().max(1e-3), "{} {}", back, loss);
    }
}

/// The loss at `place` of the range, and that at the x which it is inverted to, as `integrate` asks for it.
fn there_and_back(gaussian: &SubsampledGaussian, place: f64) -> (f64, f64) {
    let (low, high) = gaussian.range();
    let loss = gaussian.loss(low + place * (high - low));
    // Near the least loss, ln(1 − q), many x share one loss; there the inverse is asked for the loss alone.
    (loss, gaussian.loss(gaussian.at_loss(loss).max(low).min(high)))
}

#[test]
fn a_loss_that_rounding_puts_below_the_least_is_inverted_to_the_lowest_x() {
    // Found by the property above: this loss is ln(1 − q) rounded down, which no x has, so the inverse is NaN.
    let (ln_sigma, ln_rate) = (-2.852968545362296_f64, -3.1249875858999276_f64);
    let gaussian =
        SubsampledGaussian { sigma: ln_sigma.exp(), rate: ln_rate.exp(), tail: 8.0, adding: false };
    let (loss, back) = there_and_back(&gaussian, 0.2);
    assert!(gaussian.at_loss(loss).is_nan(), "the case is no longer the one that was found");
    assert_eq!(loss, back);
}
