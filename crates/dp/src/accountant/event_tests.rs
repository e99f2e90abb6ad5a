use super::*;

#[test]
fn an_event_that_makes_no_sense_cannot_be_built() {
    for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Event::subsampled_gaussian(noise, 0.5, 1), Err(DpError::NoiseMultiplier(_))));
        assert!(matches!(Event::laplace(noise, 1), Err(DpError::NoiseMultiplier(_))));
    }
    for rate in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(matches!(Event::subsampled_gaussian(1.0, rate, 1), Err(DpError::SamplingRate(_))));
    }
    for count in [0, MAX_STEPS + 1] {
        assert_eq!(Event::subsampled_gaussian(1.0, 0.5, count), Err(DpError::Steps(count)));
        assert_eq!(Event::laplace(1.0, count), Err(DpError::Steps(count)));
        assert_eq!(Event::pure(Epsilon::try_from(1.0).unwrap(), count), Err(DpError::Steps(count)));
    }
}

#[test]
fn an_event_is_read_back_as_written_and_never_read_invalid() {
    let event = Event::subsampled_gaussian(0.7, 1.0 / 3.0, 12).unwrap();
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(
        json,
        r#"{"mechanism":"poisson-subsampled-gaussian","noise_multiplier":0.7,"sampling_rate":0.3333333333333333,"steps":12}"#
    );
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    for bad in [
        r#"{"mechanism":"poisson-subsampled-gaussian","noise_multiplier":0.7,"sampling_rate":2,"steps":12}"#,
        r#"{"mechanism":"laplace","scale":0,"count":1}"#,
        r#"{"mechanism":"pure-dp","epsilon":-1,"count":1}"#,
        r#"{"mechanism":"pure-dp","epsilon":1,"count":1,"more":1}"#,
        r#"{"mechanism":"magic"}"#,
    ] {
        assert!(serde_json::from_str::<Event>(bad).is_err(), "{bad}");
    }
}
