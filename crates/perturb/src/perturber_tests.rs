use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr, tokenizer};

const TEXT: &str = "hello world\n\nher 42 dogs — Grüße\nhello <|endoftext|>\n";

#[test]
fn records_keep_their_number_and_length_and_become_items_of_the_domain() {
    let perturber = perturber(set_rr(2.0, 8));
    let lines: Vec<&str> = TEXT.lines().collect();
    let perturbed =
        perturber.perturb_records(lines.iter().copied(), &mut rng(1), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(perturbed.len(), lines.len());
    for (line, ids) in lines.iter().zip(&perturbed) {
        assert_eq!(ids.len(), perturber.tokenizer().encode(line).unwrap().len());
        assert!(ids.iter().all(|&id| perturber.channel().domain().index(id).is_some()));
    }
}

#[test]
fn progress_counts_records_and_can_cancel() {
    let perturber = perturber(k_rr(2.0));
    let mut heard = Vec::new();
    let result = perturber.perturb_records(["hello", "or", "he"].into_iter(), &mut rng(1), |counts| {
        heard.push((counts.records, counts.tokens));
        if counts.records == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(result, Err(PerturbError::Cancelled));
    assert_eq!(heard, [(1, 1), (2, 2)]);
}

#[test]
fn a_file_goes_through_and_can_be_read_again() {
    let perturber = perturber(set_rr(2.0, 8));
    let bytes = TEXT.as_bytes().to_vec();
    let result = perturber
        .perturb_text(bytes, PrivacyUnit::Line, Some("demo".to_owned()), &mut rng(3), |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(result.manifest.counts(), Counts::of(&result.records));
    assert_eq!((result.manifest.records, result.manifest.record_unit), (3, PrivacyUnit::Line));
    assert_eq!(result.manifest.tokenizer_sha256, perturber.tokenizer().sha256());
    let (manifest, records) = tokens::read(&result.to_bytes().unwrap()).unwrap();
    assert_eq!(PerturbedText { manifest, records }, result);
}

#[test]
fn a_file_is_perturbed_as_its_records_are() {
    let perturber = perturber(set_rr(2.0, 8));
    let go_on = |_| ControlFlow::Continue(());
    let whole = perturber.perturb_text(TEXT.into(), PrivacyUnit::Line, None, &mut rng(3), go_on).unwrap();
    let lines = TEXT.lines().filter(|line| !line.is_empty());
    let single = perturber.perturb_records(lines, &mut rng(3), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(whole.records, single);
}

#[test]
fn bad_input_is_said_before_any_work() {
    let perturber = perturber(k_rr(2.0));
    let result =
        perturber.perturb_text(vec![0xFF], PrivacyUnit::Line, None, &mut rng(3), |_| panic!("no work"));
    assert_eq!(result, Err(PerturbError::Input(InputError::NotUtf8 { offset: 0 })));
}

#[test]
fn almost_no_privacy_leaves_text_and_little_of_it_leaves_noise() {
    // 0.97 survive at ε = 9 over 262 tokens, 1.5 % at ε = 1.4: the channel is in use, and its strength is ε's.
    let text = "hello world ".repeat(200);
    let share_kept = |epsilon: f64| {
        let perturber = perturber(k_rr(epsilon));
        let original = perturber.tokenizer().encode(&text).unwrap();
        let perturbed = perturber.perturb_record(&text, &mut rng(4)).unwrap();
        let kept = original.iter().zip(&perturbed).filter(|(a, b)| a == b).count();
        kept as f64 / original.len() as f64
    };
    assert!(share_kept(9.0) > 0.94);
    assert!(share_kept(1.4) < 0.05);
}

#[test]
fn a_preview_pairs_tokens_and_its_debug_hides_them() {
    let perturber = perturber(set_rr(2.0, 8));
    let preview = perturber.preview("hello world", &mut rng(5)).unwrap();
    assert_eq!(preview.original, ["hello", " w", "or", "l", "d"]);
    assert_eq!(preview.original_ids, tokenizer().encode("hello world").unwrap());
    assert_eq!(preview.perturbed.len(), 5);
    assert_eq!(preview.perturbed_ids, perturber.perturb_record("hello world", &mut rng(5)).unwrap());
    assert_eq!(preview.perturbed_text, perturber.decode(&preview.perturbed_ids));
    assert_eq!(format!("{preview:?}"), "Preview { tokens: 5, .. }");
}

#[test]
fn bytes_that_are_no_text_are_decoded_lossily() {
    let perturber = perturber(k_rr(2.0));
    assert_eq!(perturber.decode(&[0xFF + 1, u32::from(b'a') + 1]), "\u{fffd}a");
    assert_eq!(perturber.decode(&[0, 263, 9_999]), "");
}
