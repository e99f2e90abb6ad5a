use serde_json::json;

use super::*;
use crate::language_model::fixtures::TinyModel;

fn read(key: &str, value: &Value) -> Result<LanguageModelConfig, LanguageModelError> {
    let mut config = TinyModel::new(40).config;
    config[key] = value.clone();
    LanguageModelConfig::from_json(config.to_string().as_bytes())
}

#[test]
fn what_is_left_out_is_what_the_library_takes() {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 9, "hidden_size": 8, "intermediate_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2
    });
    let config = LanguageModelConfig::from_json(config.to_string().as_bytes()).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim, config.max_position_embeddings), (2, 4, 2048));
    assert_eq!((config.rope_theta, config.rms_norm_eps), (10_000.0, 1e-6));
    assert!(!config.tie_word_embeddings && config.bos_token_id.is_none());
    assert_eq!(config.rotary_frequencies(), [1.0, 0.01]);
}

#[test]
fn the_newer_place_of_theta_is_read() {
    let rope = json!({"rope_type": "default", "rope_theta": 500_000.0});
    let mut config = TinyModel::new(40).config;
    config["rope_theta"] = Value::Null;
    config["rope_parameters"] = rope;
    let config = LanguageModelConfig::from_json(config.to_string().as_bytes()).unwrap();
    assert_eq!(config.rope_theta, 500_000.0);
}

#[test]
fn other_kinds_of_models_are_named() {
    for (key, value) in [
        ("architectures", json!(["GPT2LMHeadModel"])),
        ("architectures", json!(null)),
        ("architectures", json!(["LlamaForCausalLM", "X"])),
        ("hidden_act", json!("gelu")),
        ("attention_bias", json!(true)),
        ("mlp_bias", json!(true)),
        ("quantization_config", json!({"bits": 4})),
        ("rope_scaling", json!({"rope_type": "llama3", "factor": 8.0})),
        ("rope_scaling", json!({"type": "linear", "factor": 8.0})),
        ("rope_scaling", json!({"factor": 8.0})),
        ("rope_parameters", json!({"rope_type": "yarn"})),
    ] {
        let error = read(key, &value).unwrap_err();
        assert!(matches!(error, LanguageModelError::Unsupported { .. }), "{key} {value}: {error}");
    }
}

#[test]
fn sizes_that_no_model_has_are_refused() {
    let cases = [
        ("vocab_size", json!(0)),
        ("vocab_size", json!(1_u64 << 40)),
        ("hidden_size", json!(1 << 20)),
        ("intermediate_size", json!(0)),
        ("num_hidden_layers", json!(u64::MAX)),
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(3)),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(5)),
        ("max_position_embeddings", json!(0)),
        ("max_position_embeddings", json!(-1)),
        ("rms_norm_eps", json!(0.0)),
        ("rope_theta", json!(-1.0)),
        ("bos_token_id", json!(40)),
        ("hidden_size", json!("20")),
    ];
    for (key, value) in cases {
        let error = read(key, &value).unwrap_err();
        assert!(matches!(error, LanguageModelError::Config(_)), "{key} {value}: {error}");
    }
    for bytes in [&b""[..], b"[]", b"{", b"\xFF"] {
        assert!(LanguageModelConfig::from_json(bytes).is_err());
    }
}
