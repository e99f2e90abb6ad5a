use serde_json::{Value, json};

use super::*;
use crate::test_fixtures::{k_rr, perturber, set_rr, vector_mechanisms, word_perturber};

fn manifest(mechanism: Mechanism) -> Manifest {
    let counts = Counts { records: 3, tokens: 20, max_tokens_in_a_record: 9 };
    Manifest::new(
        perturber(mechanism).channel(),
        ChannelUnit::Token,
        PrivacyUnit::Paragraph,
        counts,
        Some("demo".to_owned()),
    )
}

#[test]
fn a_manifest_states_its_channel_and_counts() {
    let manifest = manifest(set_rr(3.0, 8));
    manifest.check().unwrap();
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(written["mechanism"], json!({"type": "set-rr", "epsilon": 3.0, "neighbours": 8}));
    for (key, value) in [
        ("version", json!(2)),
        ("epsilon_per_token", json!(3.0)),
        ("notion", json!("pure-epsilon-ldp")),
        ("channel_unit", json!("token")),
        ("domain_size", json!(262)),
        ("max_token_id", json!(262)),
        ("record_unit", json!("paragraph")),
        ("records", json!(3)),
        ("tokens", json!(20)),
        ("max_tokens_in_a_record", json!(9)),
        ("model", json!("demo")),
    ] {
        assert_eq!(written[key], value, "{key}");
    }
    assert_eq!(written["neighbour_table_sha256"].as_str().map(str::len), Some(64));
    assert!((27.0..27.000_001).contains(&manifest.epsilon_of_longest_record()));
}

#[test]
fn a_manifest_is_read_back_as_it_was_written() {
    for mechanism in [set_rr(3.0, 8), k_rr(1.5)] {
        let manifest = manifest(mechanism);
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }
    let without = serde_json::to_value(manifest(k_rr(1.5))).unwrap();
    assert!(without.get("neighbour_table_sha256").is_none());
}

#[test]
fn weights_survive_a_reader_that_holds_numbers_as_doubles() {
    let Weights { hi, lo } = manifest(set_rr(12.0, 16)).weights.unwrap();
    assert!(hi < 1 << 53 && lo < 1 << 53 && hi > lo);
}

#[test]
fn a_manifest_that_contradicts_itself_cannot_be_read() {
    let written = serde_json::to_value(manifest(set_rr(3.0, 8))).unwrap();
    for (key, value) in [
        ("version", json!(1)),
        ("delta", json!(1e-5)),
        ("notion", json!("approximate-ldp")),
        ("embedding", json!({"sha256": "ab".repeat(32), "dimension": 4})),
        ("epsilon_per_token", json!(2.0)),
        ("epsilon_per_token", json!(0)),
        ("notion", json!("none")),
        ("channel_unit", json!("letter")),
        ("weights", json!({"hi": 1, "lo": 1})),
        ("weights", json!({"hi": 1})),
        ("mechanism", json!({"type": "k-rr", "epsilon": 3.0})),
        ("domain_size", json!(5)),
        ("max_token_id", json!(100)),
        ("tokenizer_sha256", json!("ab")),
        ("domain_sha256", json!("zz".repeat(32))),
        ("neighbour_table_sha256", Value::Null),
        ("records", json!(2)),
        ("records", json!(0)),
        ("records", json!(-1)),
        ("tokens", json!(8)),
        ("tokens", json!(28)),
        ("max_tokens_in_a_record", json!(6)),
        ("record_unit", json!("page")),
        ("extra", json!(1)),
    ] {
        let mut changed = written.clone();
        changed[key] = value.clone();
        assert!(serde_json::from_value::<Manifest>(changed).is_err(), "{key}: {value}");
    }
    for key in written.as_object().unwrap().keys().filter(|key| *key != "model") {
        let mut changed = written.clone();
        changed.as_object_mut().unwrap().remove(key);
        assert!(serde_json::from_value::<Manifest>(changed).is_err(), "without {key}");
    }
}

#[test]
fn vector_mechanisms_name_their_embedding_and_compose_at_their_delta() {
    for mechanism in vector_mechanisms() {
        let counts = Counts { records: 3, tokens: 20, max_tokens_in_a_record: 9 };
        let perturber = word_perturber(mechanism);
        let manifest = Manifest::new(perturber.channel(), ChannelUnit::Word, PrivacyUnit::Line, counts, None);
        manifest.check().unwrap();
        let written = serde_json::to_value(&manifest).unwrap();
        assert_eq!(serde_json::from_value::<Manifest>(written.clone()).unwrap(), manifest);
        assert_eq!(written["embedding"]["dimension"], json!(8));
        let contract = perturber.channel().contract();
        assert_eq!(manifest.epsilon_of_longest_record(), contract.epsilon(9));
        assert_eq!(manifest.epsilon_of_document(), contract.epsilon(20));
        let gaussian = matches!(mechanism, Mechanism::Gaussian { .. });
        assert_eq!(
            (manifest.delta.is_some(), manifest.notion == Notion::ApproximateLdp),
            (gaussian, gaussian)
        );
        for (key, value) in [
            ("embedding", Value::Null),
            ("weights", json!({"hi": 2, "lo": 1})),
            ("epsilon_per_token", json!(1.0)),
        ] {
            let mut changed = written.clone();
            changed[key] = value;
            assert!(serde_json::from_value::<Manifest>(changed).is_err(), "{key}");
        }
        let mut other = written;
        other["embedding"]["dimension"] = json!(9);
        // The Laplace mechanism has the same ε in every dimension, for its noise grows; the Gaussian one has not.
        assert_eq!(serde_json::from_value::<Manifest>(other).is_err(), gaussian);
    }
}
