use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::Notion;
use crate::test_statistics::chi_square_score;

fn epsilon(value: f64) -> Epsilon {
    Epsilon::try_from(value).unwrap()
}

type Table = Vec<Vec<f64>>;

fn weights(mechanism: &ExponentialMechanism, table: &Table) -> Vec<Vec<u64>> {
    table.iter().map(|row| row.iter().map(|&d| mechanism.weight(d)).collect()).collect()
}

// Exactly, in integers: P(y | x) ≤ P(y | x′)·bound for all inputs and outputs, with the bound given in units of 2⁻⁴⁸.
fn ratios_are_within(weights: &[Vec<u64>], bound: u64) -> bool {
    let totals: Vec<u128> = weights.iter().map(|row| row.iter().map(|&w| u128::from(w)).sum()).collect();
    // As (low, high) words of 256 bits.
    let product = |a: u64, b: u128, c: u128| (u128::from(a) * b).carrying_mul(c, 0);
    let within = |x: usize, other: usize, y: usize| {
        let (low, high) = product(weights[x][y], totals[other], 1 << 48);
        let (bound_low, bound_high) = product(weights[other][y], totals[x], u128::from(bound));
        (high, low) <= (bound_high, bound_low)
    };
    (0..weights.len()).all(|x| (0..weights.len()).all(|o| (0..weights[x].len()).all(|y| within(x, o, y))))
}

// ⌊e^ε·2⁴⁸⌋, or less.
fn bound(epsilon: f64) -> u64 {
    (epsilon.exp() * (1.0 - 1e-15) * (1_u64 << 48) as f64) as u64
}

// Each input is at 0 from itself and at the largest distance from all others: the case that needs the factor of two.
fn star(domain: usize, far: f64) -> Table {
    (0..domain).map(|x| (0..domain).map(|y| if x == y { 0.0 } else { far }).collect()).collect()
}

// Near to everything but one output, or far from everything but one: the sum over outputs moves as far as it can.
fn lopsided(domain: usize, far: f64) -> Table {
    let row = |first: f64, others: f64| std::iter::once(first).chain(vec![others; domain - 1]).collect();
    vec![row(0.0, far), row(far, 0.0)]
}

#[test]
fn over_all_inputs_and_outputs_the_exact_ratio_is_within_e_to_the_epsilon() {
    for e in [1e-9, 0.01, 0.5, 1.0, 4.0, 9.0] {
        for domain in [2, 3, 17, 120] {
            let mechanism = ExponentialMechanism::new(domain, 3.0, epsilon(e)).unwrap();
            for table in [star(domain as usize, 3.0), lopsided(domain as usize, 3.0)] {
                assert!(ratios_are_within(&weights(&mechanism, &table), bound(e)), "ε {e}, domain {domain}");
            }
        }
    }
}

#[test]
fn the_lopsided_case_spends_nearly_all_and_without_the_factor_of_two_too_much() {
    let table = lopsided(100_000, 1.0);
    let honest = ExponentialMechanism::new(100_000, 1.0, epsilon(2.0)).unwrap();
    assert!(ratios_are_within(&weights(&honest, &table), bound(2.0)));
    assert!(!ratios_are_within(&weights(&honest, &table), bound(1.999)));
    let careless = ExponentialMechanism { rate: 2.0 * honest.rate, ..honest };
    assert!(!ratios_are_within(&weights(&careless, &table), bound(2.0)));
}

#[test]
fn rounding_without_the_reduced_epsilon_would_break_the_promise() {
    // Weights of few bits, so that one unit is visible: 16 and 16/e become 15 and 5, whose ratio is 3.
    let coarse = |rate| ExponentialMechanism {
        domain: 100,
        max_distance: 1.0,
        epsilon: epsilon(2.0),
        rate,
        weight_bits: 4,
    };
    assert_eq!([0.0, 1.0].map(|d| coarse(1.0).weight(d)), [15, 5]);
    let within = |rate| ratios_are_within(&weights(&coarse(rate), &lopsided(100, 1.0)), bound(2.0));
    assert!(!within(1.0));
    assert!(within(reduced_epsilon(2.0, 4) / 2.0));
}

#[test]
fn weights_are_the_rounded_down_exponentials() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../goldens/mechanisms.json")).unwrap();
    let cases: Vec<(f64, f64, u32, Vec<u64>)> = serde_json::from_value(golden["weights"].clone()).unwrap();
    for (e, far, bits, expected) in cases {
        let domain = 1 << (63 - bits);
        let mechanism = ExponentialMechanism::new(domain, far, epsilon(e)).unwrap();
        assert_eq!(mechanism.weight_bits, bits);
        for (eighth, &real) in expected.iter().enumerate() {
            let weight = mechanism.weight(far * eighth as f64 / 8.0) as f64;
            // ε′ is smaller than ε, so a weight may exceed that of ε, but by no more than the slack.
            let slack = e - reduced_epsilon(e, bits) + 1e-13;
            assert!((weight / real as f64 - 1.0).abs() < slack + 1.0 / real as f64, "{e} {eighth}");
        }
    }
}

#[test]
fn over_all_draws_each_output_has_exactly_its_weight() {
    let mechanism = ExponentialMechanism {
        domain: 5,
        max_distance: 1.0,
        epsilon: epsilon(3.0),
        rate: 1.5,
        weight_bits: 6,
    };
    let distances = [0.3, 0.0, 1.0, 0.9, 7.0];
    let row = mechanism.row(distances);
    let mut counts = vec![0; 5];
    (0..row.total_weight()).for_each(|draw| counts[row.response(draw) as usize] += 1);
    assert_eq!(counts, distances.map(|d| mechanism.weight(d)));
    assert_eq!(mechanism.weight(7.0), mechanism.weight(1.0), "beyond the largest distance");
}

// Widths one after the other; any search will do.
struct List(Vec<u64>);

impl Envelope for List {
    fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn locate(&self, position: u64) -> Proposal {
        let mut offset = position;
        for (item, &width) in (0..).zip(&self.0) {
            if offset < width {
                return Proposal { item, offset, width };
            }
            offset -= width;
        }
        panic!("{position} is not below the total");
    }
}

// Large weights in small numbers: one bit below the widths' 23 is 2⁵ here, and weights are 2²⁸·e⁻¹² … 2²⁸·e⁻¹⁵.
fn few_draws() -> (ExponentialMechanism, [f64; 5]) {
    let few = ExponentialMechanism {
        domain: 5,
        max_distance: 1.0,
        epsilon: epsilon(3.0),
        rate: 15.0,
        weight_bits: 28,
    };
    (few, [0.9, 0.8, 1.0, 0.95, 7.0])
}

fn counts_over_all_draws(mechanism: &ExponentialMechanism, list: &List, distances: &[f64; 5]) -> Vec<u64> {
    let mut counts = vec![0; 5];
    for draw in 0..mechanism.envelope_units_to_weight(list.total()) {
        if let Some(item) = mechanism.verdict(list, |item| distances[item as usize], draw) {
            counts[item as usize] += 1;
        }
    }
    counts
}

#[test]
fn over_all_draws_under_any_envelope_each_output_has_exactly_its_weight() {
    let (mechanism, distances) = few_draws();
    let weights = distances.map(|d| mechanism.weight(d));
    let tight = weights.map(|weight| weight.div_ceil(1 << 5));
    for slack in [[0; 5], [1, 0, 7, 0, 0], [100, 3, 0, 0, 50]] {
        let list = List(tight.iter().zip(slack).map(|(width, slack)| width + slack).collect());
        assert_eq!(counts_over_all_draws(&mechanism, &list, &distances), weights, "{slack:?}");
    }
}

#[test]
#[should_panic(expected = "below the weight of item 1")]
fn an_envelope_below_a_weight_is_noticed() {
    let (mechanism, distances) = few_draws();
    let mut list = List(distances.iter().map(|&d| mechanism.weight(d).div_ceil(1 << 5)).collect());
    list.0[1] -= 1;
    counts_over_all_draws(&mechanism, &list, &distances);
}

#[test]
#[should_panic(expected = "larger than all weights can be")]
fn an_envelope_that_would_overflow_is_refused() {
    let mechanism = ExponentialMechanism::new(3, 1.0, epsilon(1.0)).unwrap();
    let list = List(vec![1 << 23, 1 << 23, (1 << 23) + 1]);
    mechanism.sample_under(&list, |_| 0.0, &mut ChaCha20Rng::from_seed([0; 32]));
}

#[test]
fn samples_under_an_envelope_follow_the_distribution() {
    let mechanism = ExponentialMechanism::new(8, 2.0, epsilon(3.0)).unwrap();
    let distance = |item: u32| f64::from(item) / 4.0;
    // What is proposed has another distribution than what is drawn.
    let width = |item| (mechanism.weight(distance(item)) >> 29) + if item % 2 == 0 { 1 } else { 1 << 22 };
    let list = List((0..8).map(width).collect());
    let mut rng = ChaCha20Rng::from_seed([82; 32]);
    let mut counts = vec![0; 8];
    (0..200_000).for_each(|_| counts[mechanism.sample_under(&list, distance, &mut rng) as usize] += 1);
    let expected = |e: f64| -> Vec<f64> {
        let weights: Vec<f64> = (0..8).map(|item| (-e * distance(item) / 4.0).exp()).collect();
        weights.iter().map(|w| w / weights.iter().sum::<f64>()).collect()
    };
    assert!(chi_square_score(&counts, &expected(3.0)) < 4.0);
    assert!(chi_square_score(&counts, &expected(3.1)) > 4.0);
}

#[test]
fn samples_follow_the_distribution() {
    let mechanism = ExponentialMechanism::new(8, 2.0, epsilon(3.0)).unwrap();
    let distances: Vec<f64> = (0..8).map(|y| f64::from(y) / 4.0).collect();
    let row = mechanism.row(distances.iter().copied());
    let mut rng = ChaCha20Rng::from_seed([81; 32]);
    let mut counts = vec![0; 8];
    (0..200_000).for_each(|_| counts[row.sample(&mut rng) as usize] += 1);
    let expected = |e: f64| -> Vec<f64> {
        let weights: Vec<f64> = distances.iter().map(|d| (-e * d / 4.0).exp()).collect();
        weights.iter().map(|w| w / weights.iter().sum::<f64>()).collect()
    };
    assert!(chi_square_score(&counts, &expected(3.0)) < 4.0);
    assert!(chi_square_score(&counts, &expected(3.1)) > 4.0);
}

#[test]
fn distances_that_are_no_numbers_count_as_the_largest() {
    let mechanism = ExponentialMechanism::new(8, 2.0, epsilon(3.0)).unwrap();
    assert_eq!(mechanism.weight(f64::NAN), mechanism.weight(2.0));
    assert_eq!(mechanism.weight(f64::INFINITY), mechanism.weight(2.0));
    assert_eq!(mechanism.weight(-1.0), mechanism.weight(0.0));
}

#[test]
fn the_contract_is_pure_with_the_distance_as_sensitivity() {
    let contract = ExponentialMechanism::new(8, 2.0, epsilon(3.0)).unwrap().contract();
    assert_eq!((contract.notion(), contract.sensitivity()), (Notion::PureLdp, Sensitivity::Score(2.0)));
    assert_eq!(contract.epsilon_per_token(), 3.0);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let new = |domain, far, e| ExponentialMechanism::new(domain, far, epsilon(e));
    assert_eq!(new(1, 1.0, 1.0), Err(DpError::DomainSize(1)));
    for far in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(new(9, far, 1.0), Err(DpError::MaxDistance(_))), "{far}");
    }
    let DpError::ExponentialEpsilon { max, .. } = new(50_000, 1.0, 1e3).unwrap_err() else {
        panic!("another error");
    };
    assert!(new(50_000, 1.0, max * 0.999).is_ok() && new(50_000, 1.0, max * 1.001).is_err());
    assert!(new(u32::MAX, 1.0, 1.0).is_ok());
}

#[test]
#[should_panic(expected = "a distance to each item")]
fn a_row_of_another_length_is_refused() {
    ExponentialMechanism::new(3, 1.0, epsilon(1.0)).unwrap().row([0.0, 1.0]);
}

proptest! {
    #[test]
    fn any_distances_keep_the_promise(
        e in 1e-3_f64..12.0, table in prop::collection::vec(prop::collection::vec(-0.1_f64..1.2, 6), 6),
    ) {
        let mechanism = ExponentialMechanism::new(6, 1.0, epsilon(e)).unwrap();
        prop_assert!(ratios_are_within(&weights(&mechanism, &table), bound(e)));
    }

    // What the proof sketch rests on: (1 − η)·g ≤ w ≤ g, at the ends where it is tightest.
    #[test]
    fn weights_never_exceed_the_real_ones(e in 1e-6_f64..12.0, distance in 0.0_f64..1.0, domain in 2_u32..200_000) {
        let mechanism = ExponentialMechanism::new(domain, 1.0, epsilon(e)).unwrap();
        let real = (-mechanism.rate * distance).exp() * 2.0_f64.powi(mechanism.weight_bits as i32);
        let weight = mechanism.weight(distance) as f64;
        prop_assert!(weight <= real && weight >= real * (1.0 - 2.0_f64.powi(-45)) - 1.0);
        prop_assert!(mechanism.rate * 2.0 <= e && mechanism.rate * 2.0 > e - 1e-5);
    }
}
