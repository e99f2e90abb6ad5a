use super::*;
use crate::fixtures::{options, tokenizer_json};
use proptest::prelude::*;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(&tokenizer_json()).unwrap()
}

/// The tokens of each chunk.
fn tokens(record: &Record) -> Vec<Vec<u32>> {
    record.chunks().iter().map(|chunk| chunk.tokens().to_vec()).collect()
}

#[test]
fn a_short_record_is_one_chunk_with_its_special_tokens() {
    let records = Records::from_sequences(&[vec![5, 6, 7]], &options(8, 4)).unwrap();
    assert_eq!(tokens(records.get(0)), [vec![0, 5, 6, 7, 0]]);
    assert_eq!((records.get(0).predicted_tokens(), records.dropped_tokens()), (4, 0));
}

#[test]
fn a_long_record_is_split_with_one_token_of_overlap() {
    let records = Records::from_sequences(&[(1..=7).collect()], &options(4, 9)).unwrap();
    assert_eq!(tokens(records.get(0)), [vec![0, 1, 2, 3], vec![3, 4, 5, 6], vec![6, 7, 0]]);
}

#[test]
fn chunks_beyond_the_limit_are_dropped_and_counted() {
    let records = Records::from_sequences(&[(1..=7).collect(), vec![1]], &options(4, 2)).unwrap();
    assert_eq!(tokens(records.get(0)), [vec![0, 1, 2, 3], vec![3, 4, 5, 6]]);
    assert_eq!(records.dropped_tokens(), 2);
}

proptest! {
    #[test]
    fn every_token_is_predicted_once_or_counted_as_dropped(
        tokens in prop::collection::vec(1u32..300, 0..80), max_length in 2usize..20, max_chunks in 1usize..9
    ) {
        let records = Records::from_sequences(std::slice::from_ref(&tokens), &options(max_length, max_chunks)).unwrap();
        let record = records.get(0);
        prop_assert!(record.chunks().len() <= max_chunks);
        prop_assert!(record.chunks().iter().all(|c| (2..=max_length).contains(&c.tokens().len())));
        let mut rebuilt = vec![record.chunks()[0].tokens()[0]];
        for chunk in record.chunks().iter().map(Chunk::tokens) {
            prop_assert_eq!(*rebuilt.last().unwrap(), chunk[0]);
            rebuilt.extend(&chunk[1..]);
        }
        let whole: Vec<u32> = [0].into_iter().chain(tokens).chain([0]).collect();
        prop_assert_eq!(&rebuilt[..], &whole[..rebuilt.len()]);
        prop_assert_eq!(record.predicted_tokens() + records.dropped_tokens(), whole.len() - 1);
    }
}

fn labelled(tokens: &[u32], counted: &[u8], max_length: usize, max_chunks: usize) -> Records {
    let counted = counted.iter().map(|&flag| flag == 1).collect();
    let sequence = Sequence::rendered(tokens.to_vec(), counted);
    Records::from_labelled(&[sequence], &options(max_length, max_chunks)).unwrap()
}

#[test]
fn a_rendered_sequence_gets_no_special_tokens_and_counts_what_it_says() {
    let records = labelled(&[7, 8, 9, 10, 11], &[1, 0, 1, 1, 0], 8, 4);
    let [chunk] = records.get(0).chunks() else { panic!("one chunk") };
    assert_eq!((chunk.tokens(), chunk.inputs()), (&[7, 8, 9, 10, 11][..], &[7, 8, 9, 10][..]));
    assert_eq!(chunk.targets().collect::<Vec<_>>(), [None, Some(9), Some(10), None]);
    assert_eq!((records.get(0).predicted_tokens(), records.dropped_tokens()), (2, 0));
}

#[test]
fn chunks_that_teach_nothing_are_left_out_before_the_limit() {
    // Chunks of 3 tokens: 1 2 3, 3 4 5, 5 6 7, 7 8 9.
    let records = labelled(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[0, 0, 0, 0, 1, 0, 0, 1, 1], 3, 1);
    assert_eq!(tokens(records.get(0)), [[3, 4, 5]]);
    assert_eq!((records.get(0).predicted_tokens(), records.dropped_tokens()), (1, 2));
    let nothing = labelled(&[1, 2, 3, 4], &[1, 0, 0, 0], 3, 1);
    assert_eq!((nothing.get(0).predicted_tokens(), nothing.get(0).chunks().len()), (0, 1));
}

proptest! {
    #[test]
    fn every_counted_token_is_a_target_once_or_dropped(
        flags in prop::collection::vec(any::<bool>(), 1..60), max_length in 2usize..20, max_chunks in 1usize..9
    ) {
        let sequence: Vec<u32> = (1..=flags.len() as u32).collect();
        let wanted: Vec<u32> =
            sequence.iter().zip(&flags).skip(1).filter_map(|(token, counts)| counts.then_some(*token)).collect();
        let sequence = Sequence::rendered(sequence, flags);
        let records = Records::from_labelled(&[sequence], &options(max_length, max_chunks)).unwrap();
        let found: Vec<u32> = records.get(0).chunks().iter().flat_map(Chunk::targets).flatten().collect();
        prop_assert_eq!(&found[..], &wanted[..found.len()]);
        prop_assert_eq!(found.len(), records.get(0).predicted_tokens());
        prop_assert_eq!(found.len() + records.dropped_tokens(), wanted.len());
    }
}

#[test]
fn the_digest_covers_labels_and_only_where_there_are_any() {
    let plain = Records::from_sequences(&[vec![7, 8]], &options(8, 4)).unwrap();
    // The digest of the first version: a chunk of 4 tokens, each 4 bytes.
    // python3 -c "import hashlib, struct as s; print(hashlib.sha256(s.pack('<QQ4I', 1, 4, 0, 7, 8, 0)).hexdigest())"
    assert_eq!(plain.sha256(), "d20655327836f34868a0a95d4f2851ebd928d0794b4754fb56950ad5ed474baf");
    let all = labelled(&[0, 7, 8, 0], &[0, 1, 1, 1], 8, 4);
    assert_eq!(all.sha256(), plain.sha256(), "all targets count, as in plain text");
    let some = labelled(&[0, 7, 8, 0], &[0, 0, 1, 1], 8, 4);
    let others = labelled(&[0, 7, 8, 0], &[0, 1, 0, 1], 8, 4);
    assert!(some.sha256() != plain.sha256() && some.sha256() != others.sha256());
}

#[test]
fn a_chat_without_a_template_is_refused_with_the_way_out() {
    let json = RecordOptions { unit: PrivacyUnit::JsonRecord, ..options(16, 4) };
    let chat =
        br#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}"#;
    let error = Records::from_bytes(chat, &tokenizer(), &json, None).err().unwrap().to_string();
    assert!(error.contains("line 1") && error.contains("--chat-template"), "{error}");
}

#[test]
fn text_becomes_one_record_a_unit() {
    let text = b"ab\n\ncd\nef\n";
    let (lines, manifest) = Records::from_bytes(text, &tokenizer(), &options(16, 4), None).unwrap();
    assert!(manifest.is_none());
    let byte = |c: u8| u32::from(c) + 1;
    assert_eq!(tokens(lines.get(1)), [vec![0, byte(b'c'), byte(b'd'), 0]]);
    assert_eq!((lines.len(), lines.unit()), (3, PrivacyUnit::Line));
    let paragraphs = RecordOptions { unit: PrivacyUnit::Paragraph, ..options(16, 4) };
    let (paragraphs, _) = Records::from_bytes(text, &tokenizer(), &paragraphs, None).unwrap();
    assert_eq!((paragraphs.len(), paragraphs.unit()), (2, PrivacyUnit::Paragraph));
    let json = RecordOptions { unit: PrivacyUnit::JsonRecord, ..options(16, 4) };
    let (json, _) = Records::from_bytes(br#"{"text": "ab"}"#, &tokenizer(), &json, None).unwrap();
    assert_eq!(tokens(json.get(0)), [vec![0, byte(b'a'), byte(b'b'), 0]]);
}

#[test]
fn a_control_token_in_the_text_stays_text() {
    let (records, _) = Records::from_bytes(b"<|endoftext|>", &tokenizer(), &options(32, 1), None).unwrap();
    assert_eq!(records.get(0).chunks()[0].tokens().len(), 15);
}

#[test]
fn unusable_data_is_refused() {
    let error = |bytes: &[u8]| Records::from_bytes(bytes, &tokenizer(), &options(8, 4), None).err().unwrap();
    assert!(matches!(error(b""), DataError::Text(_)));
    assert!(matches!(error(b" \n \n"), DataError::Text(_)));
    assert!(matches!(error(b"ab\xff"), DataError::Text(_)));
    assert!(matches!(error(b"DPTK\x01\x00"), DataError::Tokens(_)));
    assert!(matches!(Records::from_sequences(&[], &options(8, 4)), Err(DataError::NoRecords)));
    let beyond = Records::from_sequences(&[vec![1], vec![300]], &options(8, 4)).err().unwrap();
    assert!(matches!(beyond, DataError::TokenOutOfRange { record: 1, token: 300, vocab_size: 300 }));
    assert!(matches!(Records::from_sequences(&[vec![1]], &options(1, 4)), Err(DataError::Setting { .. })));
    assert!(matches!(Records::from_sequences(&[vec![1]], &options(8, 0)), Err(DataError::Setting { .. })));
}

#[test]
fn the_hash_follows_tokens_and_boundaries() {
    let hash = |sequences: &[Vec<u32>], length| {
        Records::from_sequences(sequences, &options(length, 4)).unwrap().sha256().to_owned()
    };
    let base = hash(&[vec![1, 2], vec![3]], 8);
    assert_eq!(base, hash(&[vec![1, 2], vec![3]], 8));
    assert_ne!(base, hash(&[vec![1], vec![2, 3]], 8));
    assert_ne!(base, hash(&[vec![1, 2], vec![4]], 8));
    assert_ne!(base, hash(&[vec![1, 2], vec![3]], 3));
}

#[test]
fn debug_shows_sizes_and_no_tokens() {
    let records = Records::from_sequences(&[vec![271, 272, 273]], &options(8, 4)).unwrap();
    let shown = format!("{records:?}");
    assert!(shown.contains("1 chunks, 4 predicted tokens"), "{shown}");
    assert!(!shown.replace(records.sha256(), "").contains("271"), "{shown}");
}

#[test]
fn a_channel_changes_the_digest_and_nothing_else() {
    use crate::fixtures::channel::correction;
    let records = Records::from_sequences(&[vec![1, 2, 4]], &options(8, 4)).unwrap();
    let with = |epsilon| records.clone().with_channel(Arc::new(correction(300, epsilon, 2)));
    assert!(records.channel().is_none());
    assert_eq!(with(4.0).sha256(), with(4.0).sha256());
    assert_ne!(with(4.0).sha256(), with(5.0).sha256());
    assert_ne!(with(4.0).sha256(), records.sha256());
    assert_eq!(with(4.0).get(0), records.get(0));
    assert_eq!(with(4.0).channel().unwrap().weights(), correction(300, 4.0, 2).weights());
}
