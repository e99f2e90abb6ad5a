use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr};

#[test]
fn a_channels_rows_are_its_probabilities_transposed() {
    for mechanism in [set_rr(3.0, 5), k_rr(2.0)] {
        let channel = perturber(mechanism).channel().clone();
        let (likelihood, response) = (ChannelLikelihood::new(&channel).unwrap(), channel.response().unwrap());
        let (hi, lo) = response.weights();
        let mut sums = vec![0.0; likelihood.items()];
        for y in 0..likelihood.items() as u32 {
            let row = likelihood.row(y).checked(y, likelihood.items()).unwrap();
            for x in 0..likelihood.items() as u32 {
                let set = channel.table().map_or(vec![x], |table| table.neighbours(x, 5).to_vec());
                let weight = if set.contains(&y) { hi } else { lo };
                let expected = (weight as f64 / response.total_weight() as f64).ln();
                assert!((row.of(x) - expected).abs() < 1e-12, "{x} {y}");
                sums[x as usize] += row.of(x).exp();
            }
        }
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-9));
    }
}

#[test]
fn rows_predict_how_often_a_token_comes_out() {
    let channel = perturber(set_rr(4.0, 8)).channel().clone();
    let (likelihood, domain) = (ChannelLikelihood::new(&channel).unwrap(), channel.domain());
    let outputs = channel.perturb_tokens(&[domain.id(50); 40_000], &mut rng(3));
    // Chi-square over the outputs with their own likelihood, and the rest in one class: 8 degrees of freedom.
    let statistic = |input: u32| {
        let near: Vec<u32> = (0..262).filter(|y| likelihood.row(*y).of(50) > -4.0).collect();
        let mut rest = (40_000.0, 1.0);
        let mut sum = 0.0;
        for y in near {
            let count = outputs.iter().filter(|id| **id == domain.id(y)).count() as f64;
            let p = likelihood.row(y).of(input).exp();
            sum += (count - 40_000.0 * p).powi(2) / (40_000.0 * p);
            rest = (rest.0 - count, rest.1 - p);
        }
        sum + (rest.0 - 40_000.0 * rest.1).powi(2) / (40_000.0 * rest.1)
    };
    assert!(statistic(50) < 26.1, "{} is over the 99.9 % point", statistic(50));
    // The negative control: another input does not predict these outputs.
    assert!(statistic(51) > 1000.0);
}

#[test]
fn rows_that_are_no_likelihoods_are_refused() {
    let row = |likely: &[(u32, f64)], others| LikelihoodRow { likely: likely.to_vec().into(), others };
    assert!(row(&[(1, -1.0), (0, f64::NEG_INFINITY)], f64::NEG_INFINITY).checked(0, 2).is_ok());
    for broken in [
        row(&[(2, -1.0)], 0.0),
        row(&[(1, -1.0), (1, -1.0)], 0.0),
        row(&[(1, f64::NAN)], 0.0),
        row(&[(1, f64::INFINITY)], 0.0),
        row(&[], f64::NAN),
    ] {
        assert_eq!(broken.clone().checked(7, 2), Err(AttackError::Likelihood { output: 7 }), "{broken:?}");
    }
}

#[test]
fn a_function_can_be_the_likelihood() {
    let likelihood = FnLikelihood::new(3, |y| LikelihoodRow {
        likely: vec![(y, -0.5), ((y + 1) % 3, -1.5)].into(),
        others: -3.0,
    });
    assert_eq!([0, 1, 2].map(|x| likelihood.row(2).of(x)), [-1.5, -3.0, -0.5]);
    let shared = std::sync::Arc::new(likelihood);
    assert_eq!((shared.items(), Likelihood::row(&&*shared, 0).of(2)), (3, -3.0));
}
