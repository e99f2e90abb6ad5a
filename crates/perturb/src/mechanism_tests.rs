use serde_json::json;

use super::*;
use crate::test_fixtures::{k_rr, set_rr};

#[test]
fn mechanisms_are_written_with_their_type() {
    let (epsilon, delta) = (8.0.try_into().unwrap(), 1e-5.try_into().unwrap());
    let region = Region::UnitBall;
    for (mechanism, written) in [
        (Mechanism::Exponential { epsilon }, json!({"type": "exponential", "epsilon": 8.0})),
        (
            Mechanism::Laplace { epsilon, region },
            json!({"type": "laplace", "epsilon": 8.0, "region": "unit-ball"}),
        ),
        (
            Mechanism::Gaussian { standard_deviation: 0.5, delta, region: Region::Box },
            json!({"type": "gaussian", "standard_deviation": 0.5, "delta": 1e-5, "region": "box"}),
        ),
        (set_rr(8.0, 16), json!({"type": "set-rr", "epsilon": 8.0, "neighbours": 16})),
        (k_rr(2.5), json!({"type": "k-rr", "epsilon": 2.5})),
    ] {
        assert_eq!(serde_json::to_value(mechanism).unwrap(), written);
        assert_eq!(serde_json::from_value::<Mechanism>(written).unwrap(), mechanism);
    }
}

#[test]
fn mechanisms_that_do_not_exist_cannot_be_read() {
    for written in [
        json!({"type": "set-rr", "epsilon": 8.0}),
        json!({"type": "set-rr", "epsilon": 0.0, "neighbours": 4}),
        json!({"type": "k-rr", "epsilon": 8.0, "neighbours": 4}),
        json!({"type": "k-rr", "epsilon": -1.0}),
        json!({"type": "exponential", "epsilon": f64::NAN}),
        json!({"type": "gaussian", "standard_deviation": 1.0, "region": "box"}),
        json!({"type": "gaussian", "standard_deviation": 1.0, "delta": 1.0, "region": "box"}),
        json!({"type": "laplace", "epsilon": 8.0, "region": "sphere"}),
        json!({"epsilon": 1.0}),
    ] {
        assert!(serde_json::from_value::<Mechanism>(written.clone()).is_err(), "{written}");
    }
}

#[test]
fn set_rr_takes_the_most_informative_size_that_the_table_has() {
    let size = |epsilon: f64, columns| {
        Mechanism::set_rr(epsilon.try_into().unwrap(), 4096, columns).map(|mechanism| match mechanism {
            Mechanism::SetRr { neighbours, .. } => neighbours,
            _ => 0,
        })
    };
    assert_eq!((size(6.0, 4), size(6.0, 32), size(12.0, 32)), (Ok(4), Ok(32), Ok(1)));
    // By the published formula 6.25.
    assert!((6..=7).contains(&size(8.5, 32).unwrap()));
    assert!(size(60.0, 32).is_err());
}

#[test]
fn contracts_are_those_of_the_mechanisms_in_their_dimension() {
    let (epsilon, delta) = (3.0.try_into().unwrap(), 1e-5.try_into().unwrap());
    for mechanism in [
        set_rr(3.0, 4),
        k_rr(3.0),
        Mechanism::Exponential { epsilon },
        Mechanism::Laplace { epsilon, region: Region::Box },
    ] {
        let contract = mechanism.contract(50).unwrap();
        assert_eq!(contract.epsilon_per_token(), 3.0);
        assert!((12.0..12.000_001).contains(&contract.epsilon(4)), "{mechanism:?}");
    }
    let gaussian = |region| Mechanism::Gaussian { standard_deviation: 0.1, delta, region };
    let of = |region| gaussian(region).contract(50).unwrap().epsilon_per_token();
    assert!((of(Region::Box) - 10_602.161_437).abs() < 1e-3);
    assert!(of(Region::UnitBall) < of(Region::Box));
    assert!(
        Mechanism::Gaussian { standard_deviation: 0.0, delta, region: Region::Box }.contract(50).is_err()
    );
}
