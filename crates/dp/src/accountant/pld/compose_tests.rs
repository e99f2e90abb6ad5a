use proptest::prelude::*;

use super::super::loss::Release;
use super::super::loss::tests::gaussian;
use super::*;

const STEP: f64 = 0.05;

fn discretised(release: &Release) -> Pmf {
    Pmf::discretise(release, STEP, f64::NEG_INFINITY)
}

/// P-masses of `count` releases by direct convolution, from the line on that comes with them.
fn convolved(pmf: &Pmf, count: u32) -> (i64, Vec<f64>) {
    let (first, one) = (pmf.lines().next().unwrap().0, pmf.lines().map(|(_, mass)| mass).collect::<Vec<_>>());
    let mut sum = vec![1.0];
    for _ in 0..count {
        let mut next = vec![0.0; sum.len() + one.len() - 1];
        for (i, a) in sum.iter().enumerate() {
            for (j, b) in one.iter().enumerate() {
                next[i + j] += a * b;
            }
        }
        sum = next;
    }
    (first * i64::from(count), sum)
}

fn untilted(composition: &Composition) -> impl Iterator<Item = (i64, f64)> {
    (composition.first..).zip(&composition.masses).map(|(line, mass)| {
        let loss = line as f64 * composition.step;
        (line, mass * libm::exp(composition.ln_mgf - composition.tilt * loss))
    })
}

fn plan(first: i64, len: usize, tilt: f64) -> Plan {
    Plan { step: STEP, first, len, tilt, tilt_above: tilt + 3.0 }
}

#[test]
fn the_fft_equals_direct_convolution_and_never_falls_below_it() {
    let pmf = discretised(&gaussian(1.5, 0.3, 6.0, false));
    let (first, direct) = convolved(&pmf, 6);
    let composition = compose(&[(pmf, 6)], plan(first, 4096, 2.0));
    assert!(direct.len() < 4096);
    for ((line, mass), expected) in untilted(&composition).zip(&direct) {
        assert!(mass >= expected * (1.0 - 1e-13), "{line}: {mass:e} {expected:e}");
        // Far below the tilt's centre the rounding of the transform is large beside the mass, which is why it is added.
        if line > 0 && *expected > 1e-16 {
            assert!(mass <= expected * 1.001, "{line}: {mass:e} {expected:e}");
        }
    }
}

#[test]
fn without_a_tilt_the_far_tail_is_lost_in_rounding() {
    // The control for the test above: the same composition, not tilted.
    let pmf = discretised(&gaussian(1.5, 0.3, 6.0, false));
    let (first, direct) = convolved(&pmf, 6);
    let composition = compose(&[(pmf, 6)], plan(first, 4096, 0.0));
    let off = |((_, mass), expected): ((i64, f64), &f64)| *expected > 1e-16 && mass > expected * 2.0;
    assert!(untilted(&composition).zip(&direct).any(off));
}

#[test]
fn different_releases_compose_in_any_order() {
    let (a, b) = (Release::Laplace { shift: 0.7 }, Release::Pure { epsilon: 0.31 });
    let part = |release: &Release, count| (discretised(release), count);
    let ab = compose(&[part(&a, 3), part(&b, 4)], plan(-200, 1024, 0.5));
    let ba = compose(&[part(&b, 4), part(&a, 3)], plan(-200, 1024, 0.5));
    for (x, y) in ab.masses.iter().zip(&ba.masses) {
        assert!((x - y).abs() < 1e-12);
    }
    // Tilted masses add up to 1, and the bound on the rounding to little.
    let total: f64 = ab.masses.iter().sum();
    assert!((1.0..1.0 + 1e-9).contains(&total), "{total}");
}

#[test]
fn mass_outside_the_window_comes_back_or_is_bounded() {
    let pmf = || discretised(&gaussian(1.5, 0.3, 6.0, false));
    let (first, direct) = convolved(&pmf(), 6);
    // A window that cuts both tails off.
    let composition = compose(&[(pmf(), 6)], plan(-20, 128, 1.0));
    let inside = (-20 - first) as usize;
    for ((line, mass), expected) in untilted(&composition).zip(&direct[inside..]) {
        assert!(mass >= expected * (1.0 - 1e-12), "{line}");
    }
    let above: f64 = direct[inside + 128..].iter().sum();
    assert!(above > 1e-10 && composition.beyond >= above, "{:e} {above:e}", composition.beyond);
    assert!(composition.beyond < 1000.0 * above);
}

proptest! {
    #[test]
    fn powers_are_powers(base in 0.0_f64..1.0001, angle in -3.0_f64..3.0, exponent in 1_u64..100_000) {
        let expected = base.powf(exponent as f64);
        let slack = 1e-11 * expected + 1e-140;
        prop_assert!((power(base, exponent) - expected).abs() <= slack);
        let complex = power(Complex::from_polar(base, angle), exponent);
        prop_assert!((complex.norm() - expected).abs() <= slack);
        let turned = Complex::from_polar(expected, angle * exponent as f64);
        prop_assert!((complex - turned).norm() <= 1e-9 * expected + 1e-140);
    }
}
