use super::*;
use crate::fixtures::queued_job;

#[test]
fn a_finish_beyond_all_time_is_shown_as_such() {
    let mut job = queued_job(false);
    (job.progress.step, job.progress.seconds_trained) = (1, f64::MAX);
    assert_eq!(JobObject::from_state(&job, 100).estimated_finish, Some(u64::MAX));
    (job.progress.step, job.progress.seconds_trained) = (5, 10.0);
    assert_eq!(JobObject::from_state(&job, 100).estimated_finish, Some(110), "five of ten steps took 10 s");
}
