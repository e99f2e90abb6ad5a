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
        assert!(actual > exact && actual < exact * (1.0 + 1e-14), "{tokens}: {actual}");
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
