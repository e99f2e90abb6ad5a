use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr};

const TEXT: &str = "one\n\ntwo two\nhello world\n\n\n";

fn begin() -> Session {
    Session::begin(TEXT.into(), PrivacyUnit::Line).unwrap()
}

#[test]
fn each_chunk_moves_on_by_at_least_a_record() {
    let perturber = perturber(k_rr(3.0));
    let (mut session, mut rng) = (begin(), rng(1));
    let progress = session.push_chunk(&perturber, &mut rng, 0).unwrap();
    assert_eq!((progress.bytes_done, progress.bytes_total, progress.counts.records), (4, TEXT.len(), 1));
    assert_eq!(session.push_chunk(&perturber, &mut rng, 2).unwrap().counts.records, 2);
    assert_eq!(session.push_chunk(&perturber, &mut rng, usize::MAX).unwrap().counts.records, 3);
    assert!(session.is_done());
    assert_eq!(session.push_chunk(&perturber, &mut rng, 1).unwrap(), session.progress());
}

#[test]
fn only_a_finished_session_gives_a_result() {
    let perturber = perturber(k_rr(3.0));
    let mut session = begin();
    session.push_chunk(&perturber, &mut rng(1), 1).unwrap();
    let left = TEXT.len() - 4;
    assert_eq!(session.finish(&perturber, None), Err(PerturbError::Unfinished { left }));
}

#[test]
fn what_is_wrong_in_the_last_record_is_said_at_the_beginning() {
    let text = "{\"text\":\"a\"}\n{\"text\":\"b\"}\nnonsense";
    let error = Session::begin(text.into(), PrivacyUnit::JsonRecord).unwrap_err();
    assert_eq!(error, InputError::Json { line: 3, column: 2 });
    let blank = Session::begin("{\"text\":\" \"}".into(), PrivacyUnit::JsonRecord).unwrap_err();
    assert_eq!(blank, InputError::Empty);
}

#[test]
fn debug_does_not_show_the_text() {
    let shown = format!("{:?}", begin());
    assert!(shown.starts_with("Session") && !shown.contains("hello"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_result_does_not_depend_on_the_chunks(text in "[a-e \n]{1,80}", sizes in prop::collection::vec(0_usize..30, 1..9)) {
        let perturber = perturber(set_rr(3.0, 4));
        prop_assume!(!text.trim().is_empty());
        let run = |mut sizes: Box<dyn Iterator<Item = usize>>| {
            let mut session = Session::begin(text.clone().into(), PrivacyUnit::Paragraph).unwrap();
            let mut rng = rng(8);
            while !session.is_done() {
                session.push_chunk(&perturber, &mut rng, sizes.next().unwrap()).unwrap();
            }
            session.finish(&perturber, None).unwrap()
        };
        prop_assert_eq!(run(Box::new(sizes.into_iter().cycle())), run(Box::new(std::iter::repeat(usize::MAX))));
    }
}
