use super::*;
use crate::test_fixtures::{k_rr, perturber, rng, set_rr, tokenizer, vector_mechanisms, word_perturber};

const TEXT: &str = "hello world\n\nher 42 dogs — Grüße\nhello <|endoftext|>\n";

#[test]
fn records_keep_their_number_and_length_and_become_items_of_the_domain() {
    let perturber = perturber(set_rr(2.0, 8));
    let lines: Vec<&str> = TEXT.lines().collect();
    let perturbed =
        perturber.perturb_records(lines.iter().copied(), &mut rng(1), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(perturbed.len(), lines.len());
    for (line, ids) in lines.iter().zip(&perturbed) {
        assert_eq!(ids.len(), perturber.lexicon().encode(line).unwrap().len());
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
    assert_eq!(result.manifest.counts(), result.records.counts());
    assert_eq!((result.manifest.records, result.manifest.record_unit), (3, PrivacyUnit::Line));
    assert_eq!(result.manifest.tokenizer_sha256, tokenizer().sha256());
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
    assert_eq!(whole.records, Payload::Tokens(single));
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
        let original = perturber.lexicon().encode(&text).unwrap();
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

#[test]
fn words_travel_as_text_with_their_records_and_their_number() {
    let text = "Hello, WORLD in 1984.\n\nzebra\n...\n";
    for mechanism in [vec![set_rr(2.0, 4), k_rr(2.0)], vector_mechanisms().to_vec()].concat() {
        let perturber = word_perturber(mechanism);
        let go_on = |_| ControlFlow::Continue(());
        let result =
            perturber.perturb_text(text.into(), PrivacyUnit::Line, None, &mut rng(4), go_on).unwrap();
        assert_eq!(
            (result.manifest.records, result.manifest.tokens, result.manifest.max_tokens_in_a_record),
            (3, 8, 7)
        );
        assert_eq!(result.manifest.channel_unit, crate::ChannelUnit::Word);
        let Payload::Text(records) = &result.records else { panic!("words are text") };
        let lengths: Vec<usize> = records.iter().map(|record| record.split_whitespace().count()).collect();
        assert_eq!(lengths, [7, 1, 0]);
        let (manifest, records) = tokens::read(&result.to_bytes().unwrap()).unwrap();
        assert_eq!(PerturbedText { manifest, records }, result);
    }
}

#[test]
fn jsonl_keeps_its_shape_and_only_that_and_only_values_are_perturbed() {
    let text = "{\"text\": \"hello the\", \"id\": \"secret\"}\n\n\
                {\"messages\": [{\"role\": \"system\", \"content\": \"hello\"}, {\"role\": \"assistant\", \"content\": \"in of to\", \"name\": \"secret\"}]}\n\
                {\"prompt\": \"one\", \"completion\": \"two two\"}";
    let written = |mechanism, seed| {
        let records = word_perturber(mechanism).perturb_jsonl(text.as_bytes(), &mut rng(seed)).unwrap();
        serde_json::to_value(records).unwrap()
    };
    let kept = serde_json::json!([
        {"text": "hello the"},
        {"messages": [{"role": "system", "content": "hello"}, {"role": "assistant", "content": "in of to"}]},
        {"prompt": "one", "completion": "two two"},
    ]);
    assert_eq!(written(k_rr(34.0), 1), kept, "all but certain to be kept");
    let perturbed = written(k_rr(0.1), 1);
    assert_ne!(perturbed, kept);
    let words = |value: &serde_json::Value| value.as_str().unwrap().split(' ').count();
    assert_eq!(words(&perturbed[1]["messages"][1]["content"]), 3);
    assert_eq!(
        (perturbed[1]["messages"][1]["role"].as_str(), words(&perturbed[2]["completion"])),
        (Some("assistant"), 2)
    );
}

#[test]
fn a_role_that_chats_do_not_have_is_refused_and_not_repeated() {
    let text = b"{\"messages\": [{\"role\": \"secret\", \"content\": \"hello\"}]}";
    let error = word_perturber(k_rr(1.0)).perturb_jsonl(text, &mut rng(1)).unwrap_err();
    assert_eq!(error, PerturbError::Input(InputError::JsonShape { line: 1 }));
    assert!(!error.to_string().contains("secret"));
}
