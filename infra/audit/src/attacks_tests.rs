use super::*;
use dp::noise::rounded_gaussian;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const MODEL: Model = Model { sampling_rate: 0.25, deviation: 0.8, slots: 4 };

fn noise(seed: u64, count: usize, deviation: f64) -> Vec<f32> {
    let mut draws = vec![0; count];
    rounded_gaussian::fill(&mut ChaCha20Rng::seed_from_u64(seed), &mut draws);
    let unit = deviation / rounded_gaussian::STANDARD_DEVIATION;
    draws.into_iter().map(|draw| (f64::from(draw) * unit) as f32).collect()
}

fn density(u: f64, mean: f64) -> f64 {
    (-(u - mean).powi(2) / (2.0 * 0.8 * 0.8)).exp()
}

#[test]
fn the_poisson_score_is_the_logarithm_of_the_likelihood_ratio() {
    let u = [0.3f32, -1.1, 1.7, 0.9];
    let step = |&u: &f32| {
        (0.75 * density(f64::from(u), 0.0) + 0.25 * density(f64::from(u), 1.0)) / density(f64::from(u), 0.0)
    };
    let expected: f64 = u.iter().map(step).product::<f64>().ln();
    assert!((Attack::Poisson.score(&u, &MODEL) - expected).abs() < 1e-9);
}

#[test]
fn the_slot_score_is_the_logarithm_of_the_likelihood_ratio() {
    // Three epochs of four slots: in one slot of each, the same one in all, the mean is 1.
    let u = noise(1, 12, 0.8);
    let likelihood = |slot: Option<usize>| -> f64 {
        u.iter()
            .enumerate()
            .map(|(t, &u)| density(f64::from(u), if slot == Some(t % 4) { 1.0 } else { 0.0 }))
            .product()
    };
    let expected = ((0..4).map(|slot| likelihood(Some(slot))).sum::<f64>() / 4.0 / likelihood(None)).ln();
    assert!((Attack::Slot.score(&u, &MODEL) - expected).abs() < 1e-9);
}

#[test]
fn range_and_jump_see_what_changes_and_not_what_stays() {
    let u = [0.5f32, 0.5, 1.5, 1.25, 0.75];
    assert_eq!((Attack::Range.score(&u, &MODEL), Attack::Jump.score(&u, &MODEL)), (1.0, 1.0));
    let drifting = [0.0f32, 0.5, 1.0, 1.5];
    assert_eq!((Attack::Range.score(&drifting, &MODEL), Attack::Jump.score(&drifting, &MODEL)), (1.5, 0.5));
    assert_eq!((Attack::Range.score(&[-3.0; 9], &MODEL), Attack::Jump.score(&[-3.0; 9], &MODEL)), (0.0, 0.0));
}

#[test]
fn the_deviation_is_read_off_the_releases() {
    for deviation in [0.1, 1.0, 7.0] {
        let mut releases = noise(2, 40_000, deviation);
        // Half the canaries are in a batch in one step of a hundred.
        releases.iter_mut().step_by(200).for_each(|u| *u += 1.0);
        let model = Model::fit(0.01, 1.0, &releases);
        // The median of 40,000 has a relative deviation of 0.006; the canaries move it by at most 0.005.
        assert!((model.deviation / deviation - 1.0).abs() < 0.03, "{model:?}");
        assert_eq!(model.slots, 100);
    }
}

#[test]
fn without_noise_scores_stay_finite_and_tell_the_coins() {
    let mut releases = vec![0.0f32; 4000];
    releases[17] = 1.0;
    for releases in [releases.as_slice(), &[]] {
        assert_eq!(Model::fit(0.01, 2.0, releases).deviation, 0.02);
    }
    let model = Model::fit(0.01, 2.0, &releases);
    for attack in Attack::ALL {
        let (with, without) =
            (attack.score(&releases[..100], &model), attack.score(&releases[100..200], &model));
        assert!(with.is_finite() && without.is_finite() && with > without, "{attack:?}: {with} {without}");
    }
}

#[test]
fn regression_a_sampling_rate_of_one_gives_finite_scores() {
    let model = Model { sampling_rate: 1.0, deviation: 1e-3, slots: 1 };
    let u = [-270_084.3f32];
    assert_eq!(Attack::Poisson.score(&u, &model), Attack::Slot.score(&u, &model));
    assert!(Attack::Poisson.score(&u, &model).is_finite());
}

/// How often a canary that is in scores above one that is out.
fn power(attack: Attack, deviation: f64, drawn: impl Fn(usize) -> bool) -> f64 {
    let model = Model { sampling_rate: 0.05, deviation, slots: 20 };
    let pairs = 300;
    let wins = (0..pairs).filter(|&pair| {
        let mut with = noise(2 * pair, 400, deviation);
        with.iter_mut().enumerate().filter(|(t, _)| drawn(*t)).for_each(|(_, u)| *u += 1.0);
        attack.score(&with, &model) > attack.score(&noise(2 * pair + 1, 400, deviation), &model)
    });
    wins.count() as f64 / pairs as f64
}

#[test]
fn each_attack_sees_what_it_is_made_for_and_nothing_where_nothing_is() {
    let sometimes = |t: usize| t * 7919 % 20 == 3 && !t.is_multiple_of(3);
    let each_epoch = |t: usize| t % 20 == 11;
    assert!(power(Attack::Poisson, 0.4, sometimes) > 0.95);
    assert!(power(Attack::Slot, 0.9, each_epoch) > 0.95);
    assert!(power(Attack::Slot, 0.9, each_epoch) > power(Attack::Poisson, 0.9, each_epoch) + 0.1);
    for attack in Attack::ALL {
        // Chance: deviation 0.029.
        let blind = power(attack, 0.9, |_| false);
        assert!((blind - 0.5).abs() < 0.12, "{attack:?}: {blind}");
    }
}

#[test]
fn names_differ() {
    let names: std::collections::BTreeSet<_> = Attack::ALL.into_iter().map(Attack::name).collect();
    assert_eq!(names.len(), Attack::ALL.len());
}

proptest! {
    #[test]
    fn scores_are_numbers_whatever_is_released(
        u in prop::collection::vec(-1e6f32..1e6, 1..80), deviation in 1e-3f64..1e3, slots in 1usize..100,
    ) {
        let model = Model { sampling_rate: 1.0 / slots as f64, deviation, slots };
        for attack in Attack::ALL {
            prop_assert!(attack.score(&u, &model).is_finite(), "{:?}", attack);
        }
    }

    #[test]
    fn a_higher_release_never_lowers_a_likelihood_ratio(
        mut u in prop::collection::vec(-3.0f32..3.0, 8), place in 0usize..8, more in 0.0f32..3.0,
    ) {
        let before = [Attack::Poisson, Attack::Slot].map(|attack| attack.score(&u, &MODEL));
        u[place] += more;
        let after = [Attack::Poisson, Attack::Slot].map(|attack| attack.score(&u, &MODEL));
        prop_assert!(after[0] >= before[0] - 1e-9 && after[1] >= before[1] - 1e-9);
    }
}
