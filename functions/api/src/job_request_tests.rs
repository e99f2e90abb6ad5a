use super::parse;
use serde_json::{Value, json};

fn with(name: &str, value: Value) -> serde_json::Map<String, Value> {
    let mut body = json!({"model": "m", "training_file": "f"});
    body[name] = value;
    body.as_object().unwrap().clone()
}

fn with_setting(name: &str, value: Value) -> serde_json::Map<String, Value> {
    with("method", json!({"type": "dp_lora", "dp_lora": {name: value}}))
}

#[track_caller]
fn assert_refused(fields: serde_json::Map<String, Value>, code: &str, param: Option<&str>) {
    let error = parse(fields).unwrap_err().0;
    assert_eq!((error.status, error.code, error.param), (400, code, param), "{}", error.message);
}

#[test]
fn defaults_are_enough() {
    for method in [Value::Null, json!({"type": "dp_lora"}), json!({"type": "dp_lora", "dp_lora": {}})] {
        let request = parse(with("method", method)).unwrap();
        assert_eq!(request.dp_lora.epsilon.get(), 8.0);
    }
}

#[test]
fn what_cannot_apply_is_refused_with_its_reason() {
    let cases = [
        ("seed", json!(42), "secret"),
        ("seed", json!(0), "secret"),
        ("validation_file", json!("file-x"), "privacy"),
        ("integrations", json!([{"type": "wandb"}]), "owner"),
        ("hyperparameters", json!({"n_epochs": 3}), "method.dp_lora"),
    ];
    for (name, value, reason) in cases {
        let error = parse(with(name, value)).unwrap_err().0;
        assert_eq!((error.code, error.param), ("unsupported_parameter", Some(name)));
        assert!(error.message.contains(reason), "{}", error.message);
    }
}

#[test]
fn empty_values_of_those_fields_are_fine() {
    for (name, value) in
        [("seed", Value::Null), ("validation_file", Value::Null), ("integrations", json!([]))]
    {
        assert!(parse(with(name, value)).is_ok(), "{name}");
    }
}

#[test]
fn other_methods_are_refused() {
    for method in [
        json!({"type": "supervised"}),
        json!({"type": "dpo", "dpo": {}}),
        json!({}),
        json!("dp_lora"),
        json!(5),
    ] {
        assert_refused(with("method", method), "unsupported_method", Some("method"));
    }
}

#[test]
fn wrong_settings_are_refused() {
    for epsilon in [json!(0), json!(-1), json!(-0.0), json!(20.5), json!(1e300)] {
        assert_refused(with_setting("epsilon", epsilon), "invalid_hyperparameter", Some("epsilon"));
    }
    for epsilon in [json!("8"), json!("NaN"), json!([8]), json!(true)] {
        assert_refused(with_setting("epsilon", epsilon), "invalid_json", None);
    }
    // JSON has no NaN; a null means the default.
    assert!(parse(with_setting("epsilon", Value::Null)).is_ok());
    assert_refused(with_setting("steps", json!(0)), "invalid_hyperparameter", Some("steps"));
    assert_refused(with_setting("noise_multiplier", json!(1)), "invalid_json", None);
    assert_refused(
        with_setting("target_modules", json!(["lm_head"])),
        "invalid_hyperparameter",
        Some("target_modules"),
    );
}

#[test]
fn names_and_notes_are_bounded() {
    for suffix in ["", "a b", "a:b", "../x", "é", &"x".repeat(65)] {
        assert_refused(with("suffix", json!(suffix)), "invalid_value", Some("suffix"));
    }
    assert!(parse(with("suffix", json!("my-model_1.0"))).is_ok());
    let many: serde_json::Map<_, _> = (0..17).map(|n| (n.to_string(), json!(""))).collect();
    for notes in [json!(many), json!({"": "x"}), json!({"k": "x".repeat(513)}), json!({"x".repeat(65): ""})] {
        assert_refused(with("metadata", notes), "invalid_value", Some("metadata"));
    }
    assert_refused(with("metadata", json!({"k": 5})), "invalid_json", None);
}

#[test]
fn missing_and_unknown_fields_are_named() {
    let message = |fields: Value| parse(fields.as_object().unwrap().clone()).unwrap_err().0.message;
    assert!(message(json!({"model": "m"})).contains("`training_file`"));
    assert!(message(json!({"model": "m", "training_file": "f", "n_epochs": 3})).contains("`n_epochs`"));
    assert!(message(json!({"model": null, "training_file": "f"})).contains("string"));
}
