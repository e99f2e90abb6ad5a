use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{rng, tokenizer};

fn record(index: usize, length: usize) -> Result<Record, AttackError> {
    Record::new(vec![index as u32; length], vec![1; length])
}

#[test]
fn each_record_is_drawn_equally_often() {
    let mut rng = rng(8);
    let mut counts = [0_u32; 5];
    for _ in 0..10_000 {
        let sample = Sample::draw(5, 2, &mut rng, |index| record(index, 1)).unwrap();
        let drawn = sample.records().iter().map(|record| record.original()[0] as usize);
        drawn.for_each(|index| counts[index] += 1);
    }
    // 4,000 each, ± 5 standard deviations of 49.
    assert!(counts.iter().all(|count| count.abs_diff(4_000) < 245), "{counts:?}");
}

#[test]
fn ids_become_items_as_the_channel_takes_them() {
    let domain = tokenizer().domain().clone();
    let record = Record::from_ids(&domain, &[1, 0, 9_999], &[262, 1, 2]).unwrap();
    assert_eq!((record.original(), record.observed()), (&[0, 0, 0][..], &[261, 0, 1][..]));
    assert_eq!(Record::from_ids(&domain, &[1], &[0]), Err(AttackError::Output(0)));
    assert_eq!(Record::from_ids(&domain, &[1], &[]), Err(AttackError::Lengths { original: 1, observed: 0 }));
}

#[test]
fn nothing_to_attack_is_an_error() {
    let draw =
        |count, tokens, length| Sample::draw(count, tokens, &mut rng(1), |index| record(index, length));
    for (count, tokens, length) in [(0, 10, 1), (3, 0, 1), (3, 10, 0)] {
        assert_eq!(draw(count, tokens, length), Err(AttackError::Empty));
    }
    assert_eq!(draw(2, 9, 3).unwrap().check(1), Err(AttackError::Item { item: 1, items: 1 }));
    let failed = Sample::draw(3, 9, &mut rng(1), |_| Err::<Record, _>(AttackError::Output(5)));
    assert_eq!(failed, Err(AttackError::Output(5)));
}

#[test]
fn a_debug_line_shows_no_text() {
    let record = Record::new(vec![77], vec![78]).unwrap();
    assert_eq!(format!("{record:?}"), "Record { tokens: 1, .. }");
}

proptest! {
    #[test]
    fn records_are_whole_but_for_the_last(lengths in prop::collection::vec(0_usize..20, 1..12), tokens in 1_usize..100, seed: u8) {
        let total: usize = lengths.iter().sum();
        let draw = || Sample::draw(lengths.len(), tokens, &mut rng(seed), |index| record(index, lengths[index]));
        match draw() {
            Err(error) => prop_assert_eq!((error, total), (AttackError::Empty, 0)),
            Ok(sample) => {
                prop_assert_eq!(sample.tokens(), total.min(tokens));
                prop_assert_eq!(sample.records().iter().map(Record::len).sum::<usize>(), sample.tokens());
                let (last, whole) = sample.records().split_last().unwrap();
                prop_assert!(whole.iter().all(|record| record.len() == lengths[record.original()[0] as usize]));
                prop_assert!(!last.is_empty());
                let mut drawn: Vec<u32> = sample.records().iter().map(|record| record.original()[0]).collect();
                drawn.sort_unstable();
                drawn.dedup();
                prop_assert_eq!(drawn.len(), sample.records().len());
                prop_assert_eq!(draw().unwrap(), sample);
            }
        }
    }
}
