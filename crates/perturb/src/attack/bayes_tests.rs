use proptest::prelude::*;

use super::*;
use crate::attack::{ChannelLikelihood, FnLikelihood, Record};
use crate::test_fixtures::{k_rr, perturber, rng, set_rr};

fn sample(original: &[u32], observed: &[u32]) -> Sample {
    let record = Record::new(original.to_vec(), observed.to_vec()).unwrap();
    Sample::draw(1, usize::MAX, &mut rng(1), |_| Ok::<_, AttackError>(record.clone())).unwrap()
}

#[test]
fn with_a_uniform_prior_a_two_level_channel_leaves_the_output_itself() {
    for mechanism in [set_rr(3.0, 8), k_rr(3.0)] {
        let likelihood = ChannelLikelihood::new(perturber(mechanism).channel()).unwrap();
        let prior = Prior::uniform(262);
        assert!((0..262).all(|y| guess(y, &likelihood.row(y), &prior) == y));
    }
}

#[test]
fn a_prior_moves_the_guess_within_the_set_and_a_strong_one_beyond() {
    let likely = vec![(2, -1.0), (3, -1.0)];
    let row = LikelihoodRow { likely: likely.into(), others: -4.0 };
    assert_eq!(guess(3, &row, &Prior::from_counts(&[0, 0, 5, 4, 9])), 2);
    assert_eq!(guess(3, &row, &Prior::from_counts(&[0, 0, 5, 4, 999])), 4);
    assert_eq!(guess(3, &row, &Prior::from_counts(&[0, 0, 4, 4, 4])), 3);
}

#[test]
fn counts_are_those_of_the_tokens() {
    let channel = perturber(k_rr(9.0)).channel().clone();
    let likelihood = ChannelLikelihood::new(&channel).unwrap();
    let report =
        without_context(&sample(&[5, 6, 7, 8], &[5, 6, 9, 8]), &likelihood, &Prior::uniform(262)).unwrap();
    assert_eq!(
        (report.records, report.tokens, report.unchanged.hits, report.without_context.hits),
        (1, 4, 3, 3)
    );
    assert_eq!((report.with_context, report.context_alone), (None, None));
}

#[test]
fn an_informed_attacker_recovers_what_bayes_says() {
    // Two items, the first with three quarters of the text, through a channel that keeps two thirds: y = 0 is always 0, and
    // y = 1 is 0 with (1/4)/(1/4 + 1/6) = 3/5. So the best guess is always 0.
    let row =
        |y| LikelihoodRow { likely: vec![(y, (2.0_f64 / 3.0).ln())].into(), others: (1.0_f64 / 3.0).ln() };
    let likelihood = FnLikelihood::new(2, row);
    let (original, observed) = ([0, 0, 0, 1].repeat(3), [0, 0, 1, 1].repeat(3));
    let report = without_context(&sample(&original, &observed), &likelihood, &Prior::from_counts(&[74, 24]));
    assert_eq!(report.unwrap().without_context.hits, 9);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let likelihood = ChannelLikelihood::new(perturber(k_rr(9.0)).channel()).unwrap();
    let error = without_context(&sample(&[262], &[0]), &likelihood, &Prior::uniform(262)).unwrap_err();
    assert_eq!(error, AttackError::Item { item: 262, items: 262 });
    let error = without_context(&sample(&[1], &[0]), &likelihood, &Prior::uniform(3)).unwrap_err();
    assert_eq!(error, AttackError::Items { part: "prior", found: 3, items: 262 });
}

proptest! {
    #[test]
    fn a_guess_is_the_best_of_all_items(
        counts in prop::collection::vec(0_u64..5, 1..20), likely in prop::collection::btree_map(0_u32..20, -3_i32..0, 0..6),
        others in -3_i32..0, output: prop::sample::Index,
    ) {
        let prior = Prior::from_counts(&counts);
        let likely = likely.into_iter().filter(|(item, _)| (*item as usize) < counts.len());
        let likely: Vec<(u32, f64)> = likely.map(|(item, ln)| (item, f64::from(ln))).collect();
        let row = LikelihoodRow { likely: likely.into(), others: f64::from(others) };
        let output = output.index(counts.len()) as u32;
        let found = guess(output, &row, &prior);
        let posterior = |item: u32| row.of(item) + prior.ln(item);
        let best = (0..counts.len() as u32).map(posterior).fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(posterior(found), best);
        prop_assert!(found == output || posterior(output) < best);
    }
}
