use super::*;
use crate::hyperparameters::DpLoraRequest;

fn certificate(local: Option<LocalGuarantee>) -> Certificate {
    Certificate {
        version: CERTIFICATE_VERSION,
        created_at: 1_790_000_000,
        job: JobId::from_entropy([1; 12]),
        base_model: ModelId::parse("demo").unwrap(),
        training: TrainingGuarantee {
            mechanism: "dp-sgd".into(),
            privacy_unit: PrivacyUnit::Line,
            neighboring_relation: NeighboringRelation::AddOrRemoveOne,
            epsilon: 7.5,
            delta: 1e-5,
            noise_multiplier: 0.75,
            sampling_rate: 0.0625,
            steps: 48,
            max_grad_norm: 1.0,
            records: 1024,
            accountant: Accountant::Rdp,
            accountant_version: "0.1.0".into(),
        },
        local,
        hyperparameters: DpLoraRequest::default().validate().unwrap(),
        hashes: Hashes { training_file: "00".into(), base_model: BTreeMap::new(), adapter: BTreeMap::new() },
        code_version: "0.1.0".into(),
    }
}

fn local() -> LocalGuarantee {
    LocalGuarantee {
        notion: "pure-epsilon-ldp".into(),
        mechanism: serde_json::json!({"type": "set-rr", "epsilon": 8.0, "neighbours": 16}),
        epsilon_per_token: 8.0,
        epsilon_of_longest_record: 800.0,
        max_tokens_in_a_record: 100,
        tokens: 5000,
        domain_size: 4096,
        domain_sha256: "11".into(),
        neighbour_table_sha256: None,
    }
}

#[test]
fn a_certificate_comes_back_as_it_was_written() {
    for certificate in [certificate(None), certificate(Some(local()))] {
        let text = serde_json::to_string(&certificate).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&text).unwrap(), certificate);
    }
}

#[test]
fn the_two_guarantees_are_kept_apart_and_words_are_those_of_the_field() {
    let json = serde_json::to_value(certificate(Some(local()))).unwrap();
    assert_eq!(
        (json["training"]["epsilon"].as_f64(), json["local"]["epsilon_per_token"].as_f64()),
        (Some(7.5), Some(8.0))
    );
    assert_eq!(json["training"]["neighboring_relation"], "add-or-remove-one");
    assert_eq!(
        (&json["training"]["privacy_unit"], &json["training"]["accountant"]),
        (&"line".into(), &"rdp".into())
    );
    assert_eq!(json["hyperparameters"]["max_grad_norm"], 1.0);
    assert!(serde_json::to_value(certificate(None)).unwrap()["local"].is_null());
}

#[test]
fn what_is_missing_or_added_is_noticed() {
    let json = serde_json::to_value(certificate(None)).unwrap();
    for name in ["training", "hashes", "hyperparameters", "code_version"] {
        let mut changed = json.clone();
        changed.as_object_mut().unwrap().remove(name);
        assert!(serde_json::from_value::<Certificate>(changed).is_err(), "without {name}");
    }
    let mut changed = json;
    changed["training"]["comment"] = "trust me".into();
    assert!(serde_json::from_value::<Certificate>(changed).is_err());
}
