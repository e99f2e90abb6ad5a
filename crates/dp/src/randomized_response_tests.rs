use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::mechanism::Notion;
use crate::test_statistics::chi_square_score;
use crate::{Purpose, SecretSeed};

fn epsilon(value: f64) -> Epsilon {
    Epsilon::try_from(value).unwrap()
}

// A ring of neighbours: x, x + 1, … modulo the domain. Asymmetric, and it wraps around both ends.
fn ring(x: u32, set_size: u32, domain: u32) -> Vec<u32> {
    (0..set_size).map(|i| (x + i) % domain).collect()
}

fn exact_counts(mechanism: &SetRandomizedResponse, set: &[u32]) -> Vec<u64> {
    let mut counts = vec![0; mechanism.domain as usize];
    for draw in 0..mechanism.total_weight() {
        counts[mechanism.response(draw, set) as usize] += 1;
    }
    counts
}

#[test]
fn over_all_draws_each_output_has_exactly_its_weight() {
    for (domain, set_size, hi, lo) in
        [(2, 1, 7, 2), (5, 2, 7, 2), (6, 5, 11, 4), (9, 3, 3, 3), (12, 4, 20, 1)]
    {
        let mechanism = SetRandomizedResponse { domain, set_size, epsilon: epsilon(9.0), hi, lo };
        for x in 0..domain {
            let set = ring(x, set_size, domain);
            let expected: Vec<u64> = (0..domain).map(|y| if set.contains(&y) { hi } else { lo }).collect();
            assert_eq!(exact_counts(&mechanism, &set), expected, "x = {x}");
        }
    }
}

#[test]
fn over_all_pairs_of_inputs_the_ratio_is_within_e_to_the_epsilon() {
    let mechanism = SetRandomizedResponse { domain: 7, set_size: 3, epsilon: epsilon(1.3), hi: 29, lo: 8 };
    let outputs: Vec<Vec<u64>> = (0..7).map(|x| exact_counts(&mechanism, &ring(x, 3, 7))).collect();
    let bound = 1.3_f64.exp();
    for a in &outputs {
        assert_eq!(a.iter().sum::<u64>(), mechanism.total_weight());
        for b in &outputs {
            assert!(a.iter().zip(b).all(|(&a, &b)| a as f64 <= bound * b as f64));
        }
    }
}

#[test]
fn weights_are_the_rounded_down_exponential() {
    // python3 -c "from mpmath import *; mp.dps = 60; print([int(exp(mpf(e)) * 2**32) for e in ('0.5', '1', '8')])"
    for (e, floor) in [(0.5, 7_081_203_937_u64), (1.0, 11_674_931_554), (8.0, 12_803_117_065_094)] {
        let (hi, lo) = SetRandomizedResponse::new(1000, 4, epsilon(e)).unwrap().weights();
        assert_eq!(lo, 1 << 32);
        assert!(hi <= floor && floor - hi <= 1, "{e}: {hi} for {floor}");
    }
}

#[test]
fn draws_equal_those_of_the_second_implementation() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../goldens/streams.json")).unwrap();
    let expected: Vec<u32> = serde_json::from_value(golden["set_rr_10_of_set_4_1_7"].clone()).unwrap();
    let weights: (u64, u64) = serde_json::from_value(golden["set_rr_weights"].clone()).unwrap();
    let mechanism = SetRandomizedResponse::new(10, 3, epsilon(2.0)).unwrap();
    assert_eq!(mechanism.weights(), weights);
    let mut rng = SecretSeed::from_bytes(std::array::from_fn(|i| i as u8)).stream(Purpose::Perturbation, 3);
    let actual: Vec<u32> = expected.iter().map(|_| mechanism.sample(&mut rng, &[4, 1, 7])).collect();
    assert_eq!(actual, expected);
}

fn sampled_counts(mechanism: &SetRandomizedResponse, set: &[u32]) -> Vec<u64> {
    let mut rng = ChaCha20Rng::from_seed([21; 32]);
    let mut counts = vec![0; mechanism.domain() as usize];
    for _ in 0..200_000 {
        counts[mechanism.sample(&mut rng, set) as usize] += 1;
    }
    counts
}

fn probabilities(mechanism: &SetRandomizedResponse, set: &[u32]) -> Vec<f64> {
    let (hi, lo) = mechanism.weights();
    let weight = |y| if set.contains(&y) { hi } else { lo };
    (0..mechanism.domain()).map(|y| weight(y) as f64 / mechanism.total_weight() as f64).collect()
}

#[test]
fn samples_follow_the_distribution() {
    let mechanism = SetRandomizedResponse::new(20, 4, epsilon(1.5)).unwrap();
    let set = [19, 3, 0, 7];
    let score = chi_square_score(&sampled_counts(&mechanism, &set), &probabilities(&mechanism, &set));
    assert!(score < 4.0, "{score}");
}

#[test]
fn the_test_of_samples_rejects_another_epsilon_and_another_set() {
    let mechanism = SetRandomizedResponse::new(20, 4, epsilon(1.5)).unwrap();
    let counts = sampled_counts(&mechanism, &[19, 3, 0, 7]);
    let nearby = SetRandomizedResponse::new(20, 4, epsilon(1.55)).unwrap();
    assert!(chi_square_score(&counts, &probabilities(&nearby, &[19, 3, 0, 7])) > 4.0);
    assert!(chi_square_score(&counts, &probabilities(&mechanism, &[19, 3, 0, 8])) > 4.0);
}

#[test]
fn k_ary_response_keeps_its_item_as_often_as_it_says() {
    let mechanism = KaryRandomizedResponse::new(50, epsilon(3.0)).unwrap();
    let keep = 3.0_f64.exp() / (3.0_f64.exp() + 49.0);
    assert!((mechanism.keep_probability() - keep).abs() < 1e-9);
    let mut rng = ChaCha20Rng::from_seed([22; 32]);
    let kept = (0..100_000).filter(|_| mechanism.sample(&mut rng, 17) == 17).count() as f64;
    assert!((kept - keep * 1e5).abs() < 5.0 * (keep * (1.0 - keep) * 1e5).sqrt(), "{kept}");
}

#[test]
fn sets_that_hide_nothing_are_refused() {
    for (domain, set_size) in [(0, 0), (1, 1), (5, 0), (5, 5), (5, 6)] {
        let error = SetRandomizedResponse::new(domain, set_size, epsilon(1.0)).unwrap_err();
        assert_eq!(error, DpError::SetSize { set_size, domain });
    }
    assert!(KaryRandomizedResponse::new(1, epsilon(1.0)).is_err());
}

#[test]
fn the_largest_epsilon_named_by_the_error_is_about_the_largest_that_works() {
    let DpError::EpsilonTooLarge { max, .. } =
        SetRandomizedResponse::new(50_000, 32, epsilon(1e3)).unwrap_err()
    else {
        panic!("another error");
    };
    assert!(SetRandomizedResponse::new(50_000, 32, epsilon(max - 0.1)).is_ok());
    assert!(SetRandomizedResponse::new(50_000, 32, epsilon(max + 0.1)).is_err());
}

#[test]
#[should_panic(expected = "as many items")]
fn a_set_of_another_size_is_never_sampled() {
    let mechanism = SetRandomizedResponse::new(20, 4, epsilon(1.0)).unwrap();
    mechanism.sample(&mut ChaCha20Rng::from_seed([0; 32]), &[1, 2]);
}

#[test]
fn the_contract_is_pure_and_adds_up_over_tokens() {
    let contract = KaryRandomizedResponse::new(50, epsilon(3.0)).unwrap().contract();
    assert_eq!((contract.notion(), contract.sensitivity()), (Notion::PureLdp, Sensitivity::Discrete));
    assert_eq!(contract.epsilon_per_token(), 3.0);
    let document = contract.epsilon(1000);
    assert!((3000.0..3000.0001).contains(&document), "{document}");
}

proptest! {
    #[test]
    fn the_spent_epsilon_never_exceeds_the_promised_one(
        e in 1e-12_f64..25.0, domain in 2_u32..300_000, set_size in 1_u32..64,
    ) {
        prop_assume!(set_size < domain);
        let mechanism = SetRandomizedResponse::new(domain, set_size, epsilon(e)).unwrap();
        let (hi, lo) = mechanism.weights();
        prop_assert!(hi >= lo && lo.is_power_of_two() && mechanism.total_weight() < MAX_TOTAL_WEIGHT);
        prop_assert!(hi as f64 <= e.exp() * lo as f64);
        prop_assert!(mechanism.exact_epsilon() <= e && mechanism.exact_epsilon() > e - 1e-6);
    }

    #[test]
    fn ranks_outside_a_set_enumerate_its_complement(mut set in prop::collection::vec(0_u32..40, 0..30)) {
        set.sort_unstable();
        set.dedup();
        set.reverse();
        let complement: Vec<u32> = (0..40).filter(|y| !set.contains(y)).collect();
        let actual: Vec<u32> = (0..complement.len() as u32).map(|rank| nth_outside(&set, rank)).collect();
        prop_assert_eq!(actual, complement);
    }
}

fn information(domain: u32, set_size: u32, epsilon: f64) -> f64 {
    response(domain, set_size, epsilon).mutual_information()
}

fn response(domain: u32, set_size: u32, epsilon: f64) -> SetRandomizedResponse {
    SetRandomizedResponse::new(domain, set_size, epsilon.try_into().unwrap()).unwrap()
}

#[test]
fn the_information_is_that_of_the_channel_matrix() {
    // Sets {x, x + 1, …} on a ring: each item is in m of them.
    let (domain, set_size) = (11_u32, 3_u32);
    let response = response(domain, set_size, 1.3);
    let (hi, lo) = response.weights();
    let p = |x: u32, y: u32| {
        let inside = (y + domain - x) % domain < set_size;
        (if inside { hi } else { lo }) as f64 / response.total_weight() as f64
    };
    let uniform = 1.0 / f64::from(domain);
    let joint = |x, y| uniform * p(x, y) * (p(x, y) / uniform).ln();
    let sum: f64 = (0..domain).flat_map(|x| (0..domain).map(move |y| (x, y))).map(|(x, y)| joint(x, y)).sum();
    assert!((response.mutual_information() - sum).abs() < 1e-12);
}

#[test]
fn the_most_informative_size_beats_all_others_and_falls_with_epsilon() {
    let mut sizes = Vec::new();
    for epsilon in [2.0, 4.0, 6.0, 8.0, 12.0] {
        let best = SetRandomizedResponse::most_informative(4096, 4095, epsilon.try_into().unwrap()).unwrap();
        let most = (1..4096).map(|m| information(4096, m, epsilon)).fold(0.0, f64::max);
        assert_eq!(best.mutual_information(), most, "ε = {epsilon}");
        let e = f64::exp(epsilon);
        let published = 4096.0 * (epsilon * e - e + 1.0) / (e - 1.0).powi(2);
        assert!((f64::from(best.set_size()) - published.max(1.0)).abs() <= 1.0, "{published}");
        sizes.push(best.set_size());
    }
    assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[0] > 300 && sizes[4] == 1, "{sizes:?}");
    let bounded = SetRandomizedResponse::most_informative(4096, 16, 4.0.try_into().unwrap()).unwrap();
    assert_eq!(bounded.set_size(), 16);
}
