use super::*;

#[test]
fn only_finite_positive_epsilons_can_be_built() {
    for good in [f64::MIN_POSITIVE, 0.1, 8.0, 1e300] {
        assert_eq!(Epsilon::try_from(good).map(Epsilon::get), Ok(good));
    }
    for bad in [0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Epsilon::try_from(bad), Err(DpError::Epsilon(bad)));
    }
    assert!(Epsilon::try_from(f64::NAN).is_err());
}

#[test]
fn only_deltas_inside_the_unit_interval_can_be_built() {
    for good in [f64::MIN_POSITIVE, 1e-5, 0.999] {
        assert_eq!(Delta::try_from(good).map(Delta::get), Ok(good));
    }
    for bad in [0.0, 1.0, -1e-5, 2.0, f64::INFINITY] {
        assert_eq!(Delta::try_from(bad), Err(DpError::Delta(bad)));
    }
    assert!(Delta::try_from(f64::NAN).is_err());
}

#[test]
fn invalid_numbers_cannot_be_deserialised() {
    assert_eq!(serde_json::from_str::<Epsilon>("8.0").unwrap().get(), 8.0);
    assert!(serde_json::from_str::<Epsilon>("0").unwrap_err().to_string().contains("above 0"));
    assert!(serde_json::from_str::<Epsilon>("null").is_err());
    assert!(serde_json::from_str::<Delta>("1").unwrap_err().to_string().contains("between 0 and 1"));
    assert_eq!(serde_json::to_string(&Delta::try_from(1e-5).unwrap()).unwrap(), "0.00001");
}

#[test]
fn the_default_delta_stays_a_tenth_below_one_in_all_records() {
    assert_eq!(default_delta(0).get(), 1e-5);
    assert_eq!(default_delta(1_000).get(), 1e-5);
    for records in [20_000, 1_000_000, usize::MAX] {
        let delta = default_delta(records).get();
        assert!(delta > 0.0 && delta <= 0.1 / records as f64, "{records}: {delta}");
    }
}
