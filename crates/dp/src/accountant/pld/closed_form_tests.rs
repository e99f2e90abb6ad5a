use super::*;
use crate::test_statistics::normal_cumulative;

fn step(sigma: f64, rate: f64, steps: u64) -> Event {
    Event::subsampled_gaussian(sigma, rate, steps).unwrap()
}

#[test]
fn gaussians_add_up_to_one() {
    let one = OneRelease::of(&[step(2.0, 1.0, 9), step(4.0, 1.0, 28)]).unwrap();
    // 9/4 + 28/16 = 4.
    assert!((one.sigma - 0.5).abs() < 1e-11 && one.sigma <= 0.5 && one.rate == 1.0);
}

#[test]
fn other_compositions_have_no_closed_form() {
    assert_eq!(OneRelease::of(&[step(2.0, 0.5, 2)]), None);
    assert_eq!(OneRelease::of(&[step(2.0, 0.5, 1), step(2.0, 0.5, 1)]), None);
    assert_eq!(OneRelease::of(&[step(2.0, 1.0, 1), Event::laplace(1.0, 1).unwrap()]), None);
}

#[test]
fn one_sampled_step_equals_both_hockey_sticks_by_their_definition() {
    for (sigma, rate) in [(1.0, 0.1_f64), (0.5, 0.9), (3.0, 0.5), (2.0, 1.0)] {
        for epsilon in [0.05_f64, 0.3, 1.0] {
            // The loss passes ε at x: e^w = 1 + (e^ε − 1)/q; and −ε at y, where there is one.
            let at = |ratio: f64| sigma * sigma * ratio.ln() + 0.5;
            let x = at((epsilon.exp() - 1.0 + rate) / rate);
            let above = |x: f64, centre: f64| normal_cumulative((centre - x) / sigma);
            let removing = rate * above(x, 1.0) + (1.0 - rate - epsilon.exp()) * above(x, 0.0);
            let room = (-epsilon).exp() - 1.0 + rate;
            let adding = if room > 0.0 {
                let below = |centre: f64| 1.0 - above(at(room / rate), centre);
                below(0.0) - epsilon.exp() * ((1.0 - rate) * below(0.0) + rate * below(1.0))
            } else {
                0.0
            };
            let closed = OneRelease { sigma, rate }.delta(epsilon);
            assert!(
                (closed - removing).abs() < 1e-9 * closed + 1e-15,
                "{sigma} {rate} {epsilon}: {closed} {removing}"
            );
            assert!(adding <= closed + 1e-15, "{sigma} {rate} {epsilon}: {adding} {closed}");
        }
    }
}

#[test]
fn epsilon_inverts_delta_far_out_too() {
    for (sigma, rate) in [(1.0, 0.01), (0.02, 0.3), (0.01, 1e-6), (20.0, 1e-4)] {
        for delta in [1e-12, 1e-7] {
            let one = OneRelease { sigma, rate };
            let epsilon = one.epsilon(Delta::try_from(delta).unwrap());
            let back = one.delta(epsilon);
            // ε is rounded up by a part in 10⁹, which a large ε turns into more of δ.
            assert!(back <= delta * (1.0 + 2e-9) && back > delta * (1.0 - 1e-3), "{sigma} {rate}: {back:e}");
        }
    }
}

#[test]
fn a_delta_above_the_sampling_rate_costs_nothing() {
    assert_eq!(OneRelease { sigma: 1e-3, rate: 1e-4 }.epsilon(Delta::try_from(1e-4).unwrap()), 0.0);
}
