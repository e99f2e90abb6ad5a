use super::*;
use proptest::prelude::*;

fn request(json: serde_json::Value) -> Result<DpLora, ApiError> {
    serde_json::from_value::<DpLoraRequest>(json).expect("well-formed").validate()
}

#[test]
fn an_empty_request_takes_the_documented_defaults() {
    let settings = request(serde_json::json!({})).unwrap();
    assert_eq!((settings.epsilon.get(), settings.rank, settings.alpha), (8.0, 8, 16.0));
    assert_eq!(settings.target_modules, [ATTENTION]);
    assert_eq!(settings.duration, Duration::Epochs(3.0));
    assert_eq!((settings.optimizer, settings.schedule), (Optimizer::Adamw, Schedule::Linear));
    assert_eq!((settings.clipping, settings.precision), (Clipping::Flat, Precision::F32));
    assert_eq!((settings.warmup_steps, settings.weight_decay, settings.use_rslora), (0, 0.0, false));
}

#[test]
fn choices_are_read_by_their_names() {
    let settings = request(serde_json::json!({
        "clipping": "per-layer", "optimizer": "sgd", "schedule": "cosine", "warmup_steps": 7, "weight_decay": 0.25,
        "precision": "bf16", "use_rslora": true, "target_modules": ["all-linear"],
    }))
    .unwrap();
    assert_eq!((settings.clipping, settings.precision), (Clipping::PerLayer, Precision::Bf16));
    assert_eq!(settings.optimizer, Optimizer::Sgd { momentum: DEFAULT_MOMENTUM });
    assert_eq!((settings.schedule, settings.warmup_steps), (Schedule::Cosine, 7));
    assert_eq!((settings.weight_decay, settings.use_rslora), (0.25, true));
    assert_eq!(settings.target_modules, [ALL_LINEAR]);
    let stored = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<DpLora>(&stored).unwrap(), settings);
    for unknown in [r#"{"clipping": "ghost"}"#, r#"{"optimizer": "adam"}"#, r#"{"schedule": "step"}"#] {
        assert!(serde_json::from_str::<DpLoraRequest>(unknown).is_err(), "{unknown}");
    }
}

/// As a job's state was stored before these settings existed.
#[test]
fn a_job_of_an_earlier_version_is_read() {
    let stored = r#"{"epsilon": 8.0, "privacy_unit": "line", "rank": 8, "alpha": 16.0, "target_modules": ["q_proj"],
        "batch_size": 64, "steps": 10, "learning_rate": 0.002, "max_grad_norm": 1.0, "max_length": 128,
        "max_chunks_per_record": 4, "loss_curve": false, "correction": "denoised"}"#;
    let settings: DpLora = serde_json::from_str(stored).unwrap();
    let expected = DpLoraRequest {
        steps: Some(10),
        target_modules: Some(vec!["q_proj".into()]),
        ..DpLoraRequest::default()
    };
    assert_eq!(settings, expected.validate().unwrap());
}

#[test]
fn each_bad_value_names_its_setting() {
    for (json, param) in [
        (serde_json::json!({"epsilon": 0}), "epsilon"),
        (serde_json::json!({"epsilon": -1}), "epsilon"),
        (serde_json::json!({"epsilon": 21}), "epsilon"),
        (serde_json::json!({"delta": 0.5}), "delta"),
        (serde_json::json!({"delta": 0}), "delta"),
        (serde_json::json!({"rank": 0}), "rank"),
        (serde_json::json!({"steps": 0}), "steps"),
        (serde_json::json!({"steps": 1, "epochs": 1}), "steps"),
        (serde_json::json!({"target_modules": []}), "target_modules"),
        (serde_json::json!({"target_modules": ["q_proj", "q_proj"]}), "target_modules"),
        (serde_json::json!({"target_modules": ["lm_head"]}), "target_modules"),
        (serde_json::json!({"target_modules": ["all-linear", "q_proj"]}), "target_modules"),
        (serde_json::json!({"max_grad_norm": 0}), "max_grad_norm"),
        (serde_json::json!({"weight_decay": 1}), "weight_decay"),
        (serde_json::json!({"optimizer": "sgd", "momentum": 1}), "momentum"),
        (serde_json::json!({"momentum": 0.5}), "momentum"),
        (serde_json::json!({"warmup_steps": 1_000_001}), "warmup_steps"),
    ] {
        let error = request(json.clone()).expect_err(&json.to_string());
        assert_eq!((error.status, error.param), (400, Some(param)), "{json}");
    }
}

#[test]
fn nan_is_refused_wherever_a_number_is_taken() {
    let nan = Some(f64::NAN);
    for broken in [
        DpLoraRequest { epsilon: nan, ..Default::default() },
        DpLoraRequest { delta: nan, ..Default::default() },
        DpLoraRequest { learning_rate: nan, ..Default::default() },
        DpLoraRequest { max_grad_norm: nan, ..Default::default() },
        DpLoraRequest { epochs: nan, ..Default::default() },
        DpLoraRequest { weight_decay: nan, ..Default::default() },
        DpLoraRequest { optimizer: Some(OptimizerName::Sgd), momentum: nan, ..Default::default() },
        DpLoraRequest { alpha: nan, ..Default::default() },
    ] {
        assert!(broken.clone().validate().is_err(), "{broken:?}");
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(serde_json::from_value::<DpLoraRequest>(serde_json::json!({"noise": 1})).is_err());
}

proptest! {
    #[test]
    fn valid_settings_survive_storage(rank in 1u32..256, steps in 1u64..1_000_000, epsilon in 0.01f64..20.0) {
        let settings = DpLoraRequest { rank: Some(rank), steps: Some(steps), epsilon: Some(epsilon), ..Default::default() }.validate().unwrap();
        let stored = serde_json::to_string(&settings).unwrap();
        prop_assert_eq!(serde_json::from_str::<DpLora>(&stored).unwrap(), settings);
    }

    #[test]
    fn epochs_cover_the_records(records in 1usize..1_000_000, batch in 1usize..4096, epochs in 0.1f64..20.0) {
        let steps = Duration::Epochs(epochs).steps(records, batch);
        prop_assert!(steps as f64 * batch as f64 >= epochs * records as f64 - 1e-6);
        prop_assert!((steps as f64 - 1.0) * (batch as f64) < epochs * records as f64 || steps == 1);
    }
}
