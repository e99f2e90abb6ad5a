use dp::PrivacyUnit;
use proptest::prelude::*;

use super::*;
use crate::test_fixtures::{k_rr, perturber, set_rr};

fn tokens(records: &[Vec<u32>]) -> Payload {
    Payload::Tokens(records.to_vec())
}

fn manifest(records: &[Vec<u32>]) -> Manifest {
    let perturber = perturber(set_rr(3.0, 8));
    let counts = tokens(records).counts();
    Manifest::new(perturber.channel(), ChannelUnit::Token, PrivacyUnit::Line, counts, None)
}

fn records() -> Vec<Vec<u32>> {
    vec![vec![1, 2, 200], vec![], vec![262; 40], vec![7]]
}

fn file() -> Vec<u8> {
    write(&manifest(&records()), &tokens(&records())).unwrap()
}

/// A file with any body and a right digest.
fn sealed(body: &[u8]) -> Vec<u8> {
    [body, Sha256Digest::of(body).as_bytes()].concat()
}

fn with_manifest(json: &[u8], body: &[u8]) -> Vec<u8> {
    sealed(&[&b"DPTK\x02\x00"[..], &(json.len() as u32).to_le_bytes(), json, body].concat())
}

#[test]
fn records_and_manifest_come_back() {
    let (manifest, read_records) = read(&file()).unwrap();
    assert_eq!(read_records, tokens(&records()));
    assert_eq!(manifest, self::manifest(&records()));
    assert_eq!(read_manifest(&file()).unwrap(), manifest);
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let file = file();
    let json = serde_json::to_vec(&manifest(&records())).unwrap();
    let mut body = vec![3, 1, 2, 0xC8, 0x01, 0, 40];
    body.extend([0x86, 0x02].repeat(40));
    body.extend([1, 7]);
    assert_eq!(file, with_manifest(&json, &body));
}

#[test]
fn twenty_megabytes_of_text_stay_well_below_the_upload_limit() {
    // Four bytes of text a token, ids of a 50,000-token vocabulary: at most three bytes each.
    let mut bytes = Vec::new();
    (0..50_000).for_each(|id| push_leb128(&mut bytes, id));
    assert!(bytes.len() as f64 / 50_000.0 < 3.0);
}

#[test]
fn other_files_say_so() {
    assert_eq!(read(b""), Err(TokensError::Magic));
    assert_eq!(read(b"hello world"), Err(TokensError::Magic));
    assert_eq!(read(b"DPTK\x07\x00"), Err(TokensError::Version(7)));
    assert_eq!(read(b"DPTK"), Err(TokensError::Corrupt));
    assert_eq!(read(&sealed(b"DPTK\x02\x00")), Err(TokensError::Corrupt));
}

#[test]
fn lengths_that_lie_take_no_memory_and_are_errors() {
    let json = serde_json::to_vec(&manifest(&records())).unwrap();
    for length in [u32::MAX, MAX_MANIFEST_BYTES, json.len() as u32 + 1] {
        let body = [&b"DPTK\x02\x00"[..], &length.to_le_bytes(), &json].concat();
        assert_eq!(read(&sealed(&body)), Err(TokensError::Corrupt));
    }
    let record_of_four_billion = with_manifest(&json, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3]);
    assert_eq!(read(&record_of_four_billion), Err(TokensError::Corrupt));
    let cut_id = with_manifest(&json, &[2, 1, 0x80]);
    assert_eq!(read(&cut_id), Err(TokensError::Corrupt));
}

#[test]
fn records_that_the_manifest_does_not_state_are_refused() {
    let json = serde_json::to_vec(&manifest(&[vec![1, 2], vec![3]])).unwrap();
    assert!(read(&with_manifest(&json, &[2, 1, 2, 1, 3])).is_ok());
    for body in [&[][..], &[2, 1, 2], &[2, 1, 2, 1, 3, 0], &[1, 1, 1, 2], &[1, 1, 1, 2, 1, 3], &[3, 1, 2, 3]]
    {
        assert!(matches!(read(&with_manifest(&json, body)), Err(TokensError::Counts { .. })), "{body:?}");
    }
    let beyond = with_manifest(&json, &[2, 1, 2, 1, 0x87, 0x02]);
    assert_eq!(read(&beyond), Err(TokensError::TokenId { record: 1, id: 263, max: 262 }));
}

#[test]
fn a_bad_manifest_is_an_error_with_a_reason() {
    let mut other = serde_json::to_value(manifest(&[])).unwrap();
    other["epsilon_per_token"] = 1.0.into();
    for json in [&b"{}"[..], b"", b"\xff", other.to_string().as_bytes()] {
        assert!(matches!(read(&with_manifest(json, &[])), Err(TokensError::ManifestJson(_))));
    }
}

#[test]
fn what_could_not_be_read_is_not_written() {
    assert!(matches!(write(&manifest(&records()), &tokens(&[vec![1]])), Err(TokensError::Counts { .. })));
    let mut changed = manifest(&records());
    changed.mechanism = k_rr(9.0);
    assert!(matches!(write(&changed, &tokens(&records())), Err(TokensError::Manifest(_))));
    let beyond = [vec![263]];
    assert!(matches!(write(&manifest(&beyond), &tokens(&beyond)), Err(TokensError::TokenId { id: 263, .. })));
    let mut long = manifest(&records());
    long.model = Some("x".repeat(MAX_MANIFEST_BYTES as usize));
    assert!(matches!(write(&long, &tokens(&records())), Err(TokensError::ManifestJson(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_changed_byte_cut_or_addition_is_an_error(
        position: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index, added in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let file = file();
        let mut changed = file.clone();
        changed[position.index(file.len())] ^= flip;
        prop_assert!(read(&changed).is_err());
        prop_assert!(read(&file[..cut.index(file.len())]).is_err());
        prop_assert!(read(&[file, added].concat()).is_err());
    }

    #[test]
    fn any_body_under_a_right_digest_is_records_or_an_error(body: Vec<u8>) {
        let json = serde_json::to_vec(&manifest(&[vec![1, 2], vec![3]])).unwrap();
        if let Ok((manifest, records)) = read(&with_manifest(&json, &body)) {
            prop_assert_eq!(write(&manifest, &records).unwrap(), with_manifest(&json, &body));
        }
        drop(read(&sealed(&[&b"DPTK\x02\x00"[..], &body].concat())));
    }

    #[test]
    fn any_records_come_back(records in prop::collection::vec(prop::collection::vec(0_u32..=262, 0..20), 0..20)) {
        let file = write(&manifest(&records), &tokens(&records)).unwrap();
        prop_assert_eq!(read(&file).unwrap().1, tokens(&records));
    }
}

#[test]
fn a_manifest_that_states_more_than_there_is_takes_no_memory() {
    let mut manifest = manifest(&records());
    (manifest.records, manifest.tokens, manifest.max_tokens_in_a_record) = (1, 1 << 62, 1 << 62);
    let part = Part { counts: manifest.counts(), body: tokens(&records()).body() };
    assert!(matches!(join(&manifest, &[part]), Err(TokensError::Counts { .. })));
}

#[test]
fn an_error_repeats_a_manifests_words_in_one_short_line() {
    let named = |name: &str| {
        let json = serde_json::json!({ name: 1 }).to_string();
        read(&with_manifest(json.as_bytes(), b"")).unwrap_err().to_string()
    };
    let shown = named("two\nlines\u{1b}[2J");
    assert!(shown.contains("two\u{fffd}lines\u{fffd}[2J") && !shown.contains(char::is_control), "{shown:?}");
    assert!(named(&"long".repeat(10_000)).len() < 1000);
}
