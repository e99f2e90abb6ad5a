use serde_json::{Value, json};

use super::*;

fn parse(changes: Value) -> Result<LlamaConfig, ModelError> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    LlamaConfig::from_json(config.to_string().as_bytes())
}

#[test]
fn absent_keys_take_the_defaults_of_transformers() {
    let config = parse(json!({})).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim), (4, 8));
    assert_eq!((config.max_position_embeddings, config.rope_theta), (2048, 10_000.0));
    assert!(!config.tie_word_embeddings && !config.attention_bias);
    assert_eq!((config.bos_token_id, config.eos_token_ids), (None, Vec::<u32>::new()));
}

#[test]
fn special_tokens_may_be_one_or_many() {
    assert_eq!(parse(json!({"eos_token_id": 7})).unwrap().eos_token_ids, [7]);
    let config = parse(json!({"bos_token_id": 1, "eos_token_id": [7, 9]})).unwrap();
    assert_eq!((config.bos_token_id, config.eos_token_ids), (Some(1), vec![7, 9]));
    assert_eq!(parse(json!({"eos_token_id": null})).unwrap().eos_token_ids, Vec::<u32>::new());
}

#[test]
fn rotary_parameters_may_be_nested() {
    let config = parse(json!({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}})).unwrap();
    assert_eq!((config.rope_theta, config.rope_scaling), (5e5, None));
    let scaling = json!({"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    assert_eq!(parse(json!({"rope_scaling": scaling})).unwrap().rope_scaling.unwrap().factor, 8.0);
}

#[test]
fn other_architectures_are_told_what_is_supported() {
    for architectures in [json!(["GPT2LMHeadModel"]), json!([]), json!(null)] {
        let error = parse(json!({"architectures": architectures})).unwrap_err();
        assert!(matches!(error, ModelError::Unsupported { .. }));
        assert!(error.to_string().contains("LlamaForCausalLM"), "{error}");
    }
    // Another family's file may have none of Llama's keys: the architecture is still what is reported.
    let error = LlamaConfig::from_json(br#"{"architectures": ["T5Model"], "d_model": 8}"#).unwrap_err();
    assert!(error.to_string().contains("T5Model"), "{error}");
}

#[test]
fn features_that_are_not_implemented_are_refused() {
    let features = [
        json!({"hidden_act": "gelu"}),
        json!({"mlp_bias": true}),
        json!({"quantization_config": {"bits": 4}}),
        json!({"rope_scaling": {"type": "yarn", "factor": 2.0}}),
        json!({"rope_scaling": {"factor": 2.0}}),
    ];
    for feature in features {
        let error = parse(feature.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Unsupported { .. }), "{feature}: {error}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let broken = [
        json!({"num_key_value_heads": 3}),
        json!({"num_attention_heads": 0}),
        json!({"head_dim": 7}),
        json!({"vocab_size": 0}),
        json!({"rms_norm_eps": -1.0}),
        json!({"rope_theta": 0.0}),
        json!({"eos_token_id": 100}),
        json!({"bos_token_id": -1}),
        json!({"hidden_size": "wide"}),
        json!({"hidden_size": null}),
    ];
    for changes in broken {
        let error = parse(changes.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Config { .. }), "{changes}: {error}");
    }
    assert!(matches!(LlamaConfig::from_json(b"{"), Err(ModelError::Config { .. })));
    assert!(matches!(LlamaConfig::from_json(b"[]"), Err(ModelError::Unsupported { .. })));
}
