use super::*;

fn delta(value: f64) -> Delta {
    Delta::try_from(value).unwrap()
}

fn pure(epsilon: f64) -> Contract {
    Contract::pure(Epsilon::try_from(epsilon).unwrap(), Sensitivity::Discrete)
}

#[test]
fn pure_tokens_add_up_and_never_to_less() {
    let contract = pure(0.1);
    assert_eq!(contract.epsilon(0), 0.0);
    assert_eq!(contract.epsilon(1), 0.1);
    for tokens in [2, 3, 10, 12_345, u64::MAX] {
        // 0.1 as an f64 is a little above a tenth, by less than a part in 10¹⁶.
        let exact = tokens as f64 / 10.0;
        let actual = contract.epsilon(tokens);
        assert!(actual >= exact && actual < exact * (1.0 + 1e-14), "{tokens}: {actual}");
    }
}

#[test]
fn gaussian_tokens_add_up_in_squares() {
    let of = |sigma: f64| Contract::gaussian(sigma, delta(1e-6), Sensitivity::L2(2.0));
    for tokens in [1, 4, 100, 10_000] {
        let together = of(3.0 / (tokens as f64).sqrt()).epsilon_per_token();
        let actual = of(3.0).epsilon(tokens);
        assert!(actual >= together && actual < together * (1.0 + 1e-8), "{tokens}: {actual} for {together}");
        assert!(tokens == 1 || actual < tokens as f64 * of(3.0).epsilon_per_token());
    }
}

#[test]
fn contracts_say_what_they_are_about() {
    let gaussian = Contract::gaussian(1.0, delta(1e-5), Sensitivity::L2(2.0));
    assert_eq!(gaussian.notion(), Notion::ApproximateLdp { delta: delta(1e-5) });
    assert_eq!(gaussian.sensitivity(), Sensitivity::L2(2.0));
    let metric = Contract::metric(0.5, Epsilon::try_from(3.0).unwrap(), Sensitivity::L1(6.0));
    assert_eq!(metric.notion(), Notion::Metric { epsilon_per_unit: 0.5 });
    assert_eq!(metric.epsilon_per_token(), 3.0);
}

#[test]
fn what_is_exact_stays_exact_and_what_is_not_is_rounded_up() {
    assert_eq!((pure(6.0).epsilon(7), pure(0.5).epsilon(1 << 60)), (42.0, 2.0_f64.powi(59).next_up()));
    // 3·0.1 as f64s is 0.3000000000000000166…, between two f64; 7·0.1 lies below its nearest one.
    assert_eq!((pure(0.1).epsilon(3), pure(0.1).epsilon(7)), (0.1 * 3.0, 0.1 * 7.0));
    for tokens in 1..2000 {
        let (above, below) = (pure(0.7).epsilon(tokens), pure(0.7).epsilon(tokens).next_down());
        // In integers: 0.7 is m·2⁻⁵³.
        let exact = u128::from(tokens) * u128::from((0.7_f64 * 2.0_f64.powi(53)) as u64);
        let scaled = |value: f64| (value * 2.0_f64.powi(53)) as u128;
        assert!(scaled(above) >= exact && (scaled(below) < exact || tokens == 1), "{tokens}");
    }
}
