use super::*;
use crate::attack::{ChannelLikelihood, FnLikelihood, LikelihoodRow};
use crate::test_fixtures::{k_rr, perturber, rng, set_rr};

#[test]
fn counts_become_probabilities_and_none_is_impossible() {
    let prior = Prior::from_counts(&[3, 0, 7, 0]);
    let expected = [4.0, 1.0, 8.0, 1.0].map(|count: f64| (count / 14.0).ln());
    assert_eq!([0, 1, 2, 3].map(|item| prior.ln(item)), expected);
    assert_eq!(prior.order(), [2, 0, 1, 3]);
    assert_eq!(Prior::uniform(3).order(), [0, 1, 2]);
    assert!((Prior::uniform(4).ln(3) - 0.25_f64.ln()).abs() < 1e-15);
}

/// Total variation distance of π from the frequencies 1/2, 1/4, 1/8 … of the items 20, 21 …
fn distance(ln: impl Fn(u32) -> f64) -> f64 {
    let truth = |item: u32| if item < 20 { 0.0 } else { 0.5_f64.powi(item as i32 - 19) };
    (0..262).map(|item| (ln(item).exp() - truth(item)).abs()).sum::<f64>() / 2.0
}

#[test]
fn frequencies_are_estimated_through_the_channel() {
    for mechanism in [set_rr(3.0, 4), k_rr(3.0)] {
        let channel = perturber(mechanism).channel().clone();
        let likelihood = ChannelLikelihood::new(&channel).unwrap();
        // 2¹⁶ tokens: half of them the item 20, a quarter 21, and so on.
        let ids: Vec<u32> = (1..65_536_u32).map(|n| channel.domain().id(20 + n.trailing_zeros())).collect();
        let outputs = channel.perturb_tokens(&ids, &mut rng(4));
        let items: Vec<u32> = outputs.iter().map(|id| channel.domain().index(*id).unwrap()).collect();
        let estimated = Prior::from_outputs(&likelihood, items.iter().copied()).unwrap();
        let mut counts = vec![0; 262];
        items.iter().for_each(|item| counts[*item as usize] += 1);
        let naive = Prior::from_counts(&counts);
        let (estimated, naive) = (distance(|item| estimated.ln(item)), distance(|item| naive.ln(item)));
        // What comes out is far from what went in: the estimate must not be the histogram of the outputs.
        assert!(estimated < 0.25 && naive > 0.6, "{mechanism:?}: {estimated} {naive}");
    }
}

#[test]
fn outputs_and_rows_that_cannot_be_are_refused() {
    let row = |others| move |_| LikelihoodRow { likely: (&[]).into(), others };
    let error = Prior::from_outputs(&FnLikelihood::new(3, row(-1.0)), [0, 3]);
    assert_eq!(error, Err(AttackError::Item { item: 3, items: 3 }));
    let error = Prior::from_outputs(&FnLikelihood::new(3, row(f64::NAN)), [2]);
    assert_eq!(error, Err(AttackError::Likelihood { output: 2 }));
    // Impossible outputs and none at all say nothing.
    for (others, outputs) in [(f64::NEG_INFINITY, vec![1]), (-1.0, vec![])] {
        let prior = Prior::from_outputs(&FnLikelihood::new(3, row(others)), outputs).unwrap();
        assert!((0..3).all(|item| prior.ln(item).is_finite()), "{prior:?}");
    }
}
