use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn another_step_is_made_only_if_one_twice_as_long_still_fits() {
    let mut pace = Pace::default();
    pace.record(3 * SECOND);
    pace.record(SECOND);
    let fits = |now: u32| pace.fits_another(now * SECOND, 100 * SECOND, 10 * SECOND);
    assert!(fits(84), "84 + 2·3 + 10 = 100");
    assert!(!fits(85));
}

#[test]
fn failures_of_the_host_may_pass_and_others_may_not() {
    let io = std::io::Error::other("disk");
    let passing = TrainError::Model(ModelError::Io { path: "x".into(), source: io });
    assert!(matches!(failure(passing), SliceError::Retryable(_)));
    for error in
        [TrainError::Diverged { step: 3 }, TrainError::NoRecords, TrainError::CheckpointMismatch("seed")]
    {
        assert!(matches!(failure(error), SliceError::Permanent(_)));
    }
}
