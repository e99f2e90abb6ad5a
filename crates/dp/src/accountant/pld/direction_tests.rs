use super::*;

fn direction(sigma: f64, rate: f64, steps: u64, adding: bool) -> Direction {
    let event = Event::subsampled_gaussian(sigma, rate, steps).unwrap();
    Direction::new(&[event], adding, -40.0).unwrap()
}

#[test]
fn equal_mechanisms_are_merged_and_different_ones_are_not() {
    let step = |sigma, steps| Event::subsampled_gaussian(sigma, 0.1, steps).unwrap();
    let direction = Direction::new(&[step(1.0, 3), step(2.0, 5), step(1.0, 4)], false, -40.0).unwrap();
    let counts: Vec<u64> = direction.releases.iter().map(|&(_, count)| count).collect();
    assert_eq!(counts, [7, 5]);
    assert_eq!(direction.count, 12.0);
}

#[test]
fn a_grid_adds_no_more_variance_than_asked_for_and_covers_the_window() {
    let direction = direction(1.0, 0.1, 100, false);
    let window = direction.cumulant.window(3.0, LN_BELOW_WINDOW, LN_ABOVE_WINDOW);
    for variance in [1e-3, 1e-5, 1e-6] {
        let (composition, added) = direction.compose(&window, variance);
        assert!(added <= variance && composition.masses.len().is_power_of_two());
        let top = composition.low() + composition.step * composition.masses.len() as f64;
        assert!(composition.low() <= window.low && top > window.high);
        assert!(composition.masses.len() == 1 << LINES.start() || added > variance / 8.0, "{added:e}");
    }
    // More than the finest grid can do.
    let (composition, added) = direction.compose(&window, 1e-14);
    assert!(added > 1e-14 && composition.masses.len() == 1 << LINES.end());
}

#[test]
fn what_is_known_already_is_not_computed_again() {
    // Removing a record is worse by far in one step, so adding it is answered by the bound alone.
    let (removing, adding) = (direction(1.0, 0.01, 2, false), direction(1.0, 0.01, 2, true));
    let worst = removing.epsilon(libm::log(1e-6), 0.0);
    let quick = adding.epsilon(libm::log(1e-6), worst);
    assert!(quick <= worst && quick >= adding.epsilon(libm::log(1e-6), 0.0));
    assert_eq!(quick, adding.epsilon_bound(libm::log(1e-6)).0);
}

#[test]
fn a_finer_grid_only_lowers_epsilon() {
    let direction = direction(0.8, 0.02, 300, false);
    let tilt = direction.cumulant.tilt_for_delta(libm::log(1e-6));
    let window = direction.cumulant.window(tilt, LN_BELOW_WINDOW, LN_ABOVE_WINDOW);
    let at = |variance| direction.compose(&window, variance).0.epsilon(libm::log(1e-6), 1.0).epsilon;
    let epsilons: Vec<f64> = [1e-2, 1e-4, 1e-6].map(at).to_vec();
    assert!(epsilons[0] > epsilons[1] && epsilons[1] > epsilons[2], "{epsilons:?}");
    assert!(epsilons[1] - epsilons[2] < 1e-3);
}

#[test]
fn heavy_tails_are_tilted_less() {
    let width = |window: &Window| window.high - window.low;
    let window = |direction: &Direction| {
        let (epsilon, tilt) = direction.epsilon_bound(libm::log(1e-7));
        let best = direction.cumulant.window(tilt, LN_BELOW_WINDOW, LN_ABOVE_WINDOW);
        (direction.window(tilt, epsilon, LN_BELOW_WINDOW), best)
    };
    // Rare, large losses: the best tilt makes the largest of them likely.
    let (chosen, best) = window(&direction(1.0, 1e-3, 10_000, false));
    assert!(chosen.tilt < best.tilt && width(&chosen) < width(&best) / 2.0, "{chosen:?} {best:?}");
    // So many steps that the rounding of the transform leaves no room.
    let (chosen, best) = window(&direction(1.0, 1e-3, 100_000_000, false));
    assert_eq!(chosen.tilt, best.tilt);
}
