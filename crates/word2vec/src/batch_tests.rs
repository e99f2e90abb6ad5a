//! Slots, and one update a row however often a step touches it.

use super::*;
use crate::random::Stream;
use crate::{Config, Settings};

const W: usize = 16;

fn parts() -> (Matrix<W>, AdamW) {
    let adamw = AdamW::new(&Config::new(Settings { weight_decay: 0.0, ..Settings::default() }).unwrap(), 50);
    (Matrix::random(30, 16, 0.5, &mut Stream::new(4, 0), &adamw), adamw)
}

#[test]
fn each_row_has_one_slot_in_each_step() {
    let mut batch = Batch::<W>::new(30);
    for step in 0..3 {
        batch.clear();
        let slots = [7, 3, 7, 29, 3, step].map(|row| batch.slot(row));
        assert_eq!(slots, [0, 1, 0, 2, 1, 3]);
    }
    // A row that had a slot in the last step has none now.
    batch.clear();
    assert_eq!((batch.slot(29), batch.slot(7)), (0, 1));
}

#[test]
fn a_step_updates_touched_rows_once_and_no_others() {
    let (matrix, adamw) = parts();
    let before: Vec<_> = (0..30).map(|row| matrix.lock(row).values).collect();
    let mut batch = Batch::<W>::new(30);
    let (a, b) = (batch.slot(2), batch.slot(9));
    let now = adamw.step(1);
    batch.gather::<false>(&matrix, &adamw, &now);
    assert_eq!((batch.values(a), batch.values(b)), (&before[2], &before[9]));
    batch.gradient(a)[0] += 0.25;
    batch.gradient(a)[0] += 0.5;
    batch.scatter::<false>(&matrix, &adamw, &now, |_| ());
    let row = matrix.lock(2).clone();
    // The first step of AdamW moves by η against the gradient's sign, whatever its size.
    let rate = Settings::default().learning_rate as f32;
    assert!((before[2][0] - row.values[0] - rate).abs() < 0.01 * rate);
    assert!((row.first[0] - 0.1 * 0.75).abs() < 1e-6);
    assert_eq!((row.values[1], row.first[1], row.last.number), (before[2][1], 0.0, 1));
    for other in (0..30).filter(|&row| row != 2 && row != 9) {
        let row = matrix.lock(other).clone();
        assert_eq!((row.values, row.last.number), (before[other as usize], 0));
    }
}

#[test]
fn gradients_start_at_zero_in_each_step() {
    let (matrix, adamw) = parts();
    let mut batch = Batch::<W>::new(30);
    for step in 1..4 {
        batch.clear();
        let slot = batch.slot(5);
        batch.gather::<false>(&matrix, &adamw, &adamw.step(step));
        assert_eq!(*batch.gradient(slot), [0.0; W]);
        batch.gradient(slot).fill(1.0);
    }
}
