use super::*;

#[test]
fn a_short_job_shows_every_step() {
    let mut curve = LossCurve::new(200);
    curve.record(1, 5.0);
    curve.record(2, 4.0);
    let expected: Vec<LossPoint> =
        [(1, 5.0), (2, 4.0)].map(|(step, loss)| LossPoint { step, steps: 1, loss }).into();
    assert_eq!(curve.points(), expected);
    assert_eq!(curve.end(2), expected);
}

#[test]
fn a_long_job_shows_means_and_a_slice_ends_with_what_is_left() {
    let mut curve = LossCurve::new(1000);
    // A slice that begins in the middle of a point.
    for step in 3..=13 {
        curve.record(step, step as f64);
    }
    let point = |step, steps, loss| LossPoint { step, steps, loss };
    assert_eq!(curve.points(), [point(5, 3, 4.0), point(10, 5, 8.0)]);
    assert_eq!(curve.end(13), [point(5, 3, 4.0), point(10, 5, 8.0), point(13, 3, 12.0)]);
}

#[test]
fn a_job_without_losses_has_no_curve() {
    assert_eq!(LossCurve::new(10).end(10), []);
}
